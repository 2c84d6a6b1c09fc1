//! What a host keeps on disk: when it is written, and what is read from an earlier time.
#![cfg(feature = "cli")]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/program.rs"]
mod program;
#[path = "common/site.rs"]
mod site;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use headcount::daemon::{
    Answer, HostConfig, HostFiles, HostMemory, HostService, SaveIntervals, Service, SystemClock,
    system_rng,
};
use headcount::storage::{FileStore, Kind, Slots, image_len};
use program::Folder;
use site::enrolled_site;
use tokio::sync::oneshot;

/// Long enough for any machine; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(120);

fn files(site: &Folder) -> HostFiles {
    HostFiles::new(site.join("host/state"))
}

fn service(site: &Folder) -> HostService<SystemClock> {
    let config = HostConfig::read(&site.join("host")).unwrap();
    let memory = HostMemory::for_products(&config.read_products().unwrap()).unwrap();
    let certificate = files(site).read_certificate().unwrap();
    let host = memory.into_host(certificate, config.settings(), &mut system_rng());
    HostService::new(host, files(site).read_key().unwrap(), SystemClock::start())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn junk_alone_does_not_keep_the_disk_busy() {
    let site = enrolled_site("1");
    let service = Arc::new(service(&site));
    let intervals = SaveIntervals {
        answers: Duration::from_millis(5),
        silence: Duration::from_secs(1_000_000),
    };
    let (stop, stopped) = oneshot::channel::<()>();
    let state = files(&site).open_state().unwrap();
    let saving = tokio::spawn(service.clone().keep_saved(state, intervals, async {
        let _ = stopped.await;
    }));
    let source: SocketAddr = "192.0.2.1:1688".parse().unwrap();
    let saved = || files(&site).open_state().unwrap().snapshot;
    for _ in 0..20 {
        assert!(matches!(service.answer(source, &[0; 250]), Answer::Now(None)));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(saved().is_none(), "nobody was answered");
    // What is answered is saved soon, with what came before.
    let request = site::request(&site, SystemTime::now().into());
    assert!(matches!(service.answer(source, &request), Answer::Now(Some(_))));
    let start = Instant::now();
    let first = loop {
        match saved() {
            Some(first) => break first,
            None => assert!(start.elapsed() < PATIENCE, "never saved"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    // At the end, everything is.
    assert!(matches!(service.answer(source, &[0; 250]), Answer::Now(None)));
    drop(stop);
    saving.await.unwrap().unwrap();
    assert_ne!(saved().unwrap(), first);
}

#[test]
fn a_state_of_more_products_than_there_are_now_can_be_read() {
    let site = enrolled_site("1");
    let payload = vec![1; 3 << 20];
    let store = FileStore::open(site.join("host/state"), "host").unwrap();
    let mut buffer = vec![0; image_len(payload.len())];
    let (mut slots, _) = Slots::open(store, Kind::Host, &mut buffer).unwrap();
    slots.save(&payload, &mut buffer).unwrap();
    assert_eq!(files(&site).open_state().unwrap().snapshot.unwrap(), payload);
}

#[test]
fn one_process_at_a_time_has_a_folder() {
    let site = enrolled_site("1");
    let lock = files(&site).lock().unwrap();
    let error = files(&site).lock().unwrap_err();
    assert!(error.to_string().contains("another host"), "{error}");
    drop(lock);
    let _lock = files(&site).lock().unwrap();
}
