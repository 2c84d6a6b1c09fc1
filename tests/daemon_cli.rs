//! `headcount host` where things go wrong: stopped early, starved of files, misconfigured.
#![cfg(all(feature = "cli", unix))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

#[path = "common/program.rs"]
mod program;
#[path = "common/site.rs"]
mod site;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use headcount::time::UnixTime;
use program::{Ended, Folder};
use site::{Host, activate, count, enrolled_site, host_command, machine, terminate};

/// Long enough for any machine; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(60);

fn now() -> UnixTime {
    SystemTime::now().into()
}

/// Changes the host's configuration.
fn configure(site: &Folder, from: &str, to: &str) {
    let path = site.join("host/host.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{from}: {text}");
    std::fs::write(&path, text.replace(from, to)).unwrap();
}

/// Runs a host that should end by itself.
fn run_to_its_end(site: &Folder) -> Ended {
    let mut command = host_command(site);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let output = child.wait_with_output().unwrap();
    Ended {
        code: output.status.code().expect("it serves instead of ending"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// One exchange; `false` when the host is gone.
fn exchange(stream: &mut TcpStream, frame: &[u8]) -> bool {
    stream.write_all(frame).and_then(|()| stream.read_exact(&mut [0; 250])).is_ok()
}

#[test]
fn what_was_answered_before_a_clean_stop_is_saved() {
    let site = enrolled_site("1");
    configure(&site, "request_interval_ms = 100", "request_interval_ms = 0");
    let request = site::request(&site, now());
    let host = Host::run(&site);
    let answered = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                let mut stream = TcpStream::connect(&host.tcp).unwrap();
                stream.set_read_timeout(Some(PATIENCE)).unwrap();
                while exchange(&mut stream, &request) {
                    answered.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        let start = Instant::now();
        while answered.load(Ordering::Relaxed) < 500 && start.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(5));
        }
        host.terminate();
    });
    host.stopped();
    let status = site.run(&["host", "status", "--config", "host", "--json"]).expect(0).json();
    let (granted, answered) = (status["granted"].as_u64().unwrap(), answered.into_inner());
    assert!(answered >= 500);
    assert!(granted >= answered, "{granted} saved, {answered} answered");
}

#[test]
fn a_host_can_be_stopped_as_soon_as_it_listens() {
    let site = enrolled_site("1");
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    configure(&site, "127.0.0.1:0", &address.to_string());
    // Its standard output is full, so it cannot get beyond saying where it listens.
    let (mut reader, mut writer) = UnixStream::pair().unwrap();
    let full = fill(&mut writer);
    let stdout = Stdio::from(OwnedFd::from(writer));
    let mut child = host_command(&site).stdout(stdout).stderr(Stdio::null()).spawn().unwrap();
    let start = Instant::now();
    while TcpStream::connect(address).is_err() {
        assert!(start.elapsed() < PATIENCE, "it never listened");
        std::thread::sleep(Duration::from_millis(5));
    }
    terminate(&child);
    let mut output = vec![0; full];
    reader.read_exact(&mut output).unwrap();
    let mut output = String::new();
    reader.read_to_string(&mut output).unwrap();
    assert!(output.contains("listens on"), "{output}");
    assert_eq!(child.wait().unwrap().code(), Some(0), "a clean stop");
}

/// Fills a stream until it takes no byte more and says how many it took.
fn fill(stream: &mut UnixStream) -> usize {
    let mut length = 0;
    stream.set_nonblocking(true).unwrap();
    for size in [4_096, 256, 16, 1] {
        while let Ok(written) = stream.write(&vec![b' '; size]) {
            length += written;
        }
    }
    stream.set_nonblocking(false).unwrap();
    length
}

#[test]
fn a_host_outlives_the_reader_of_its_log() {
    let site = enrolled_site("1");
    machine(&site, "a");
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let host = Host::start(host_command(&site).arg("--verbose").stderr(writer));
    for transport in ["tcp", "udp", "tcp", "udp"] {
        let address = if transport == "tcp" { &host.tcp } else { &host.udp };
        activate(&site, "a", address, transport).expect(0);
    }
    host.stop();
    assert_eq!(count(&site), 1);
}

/// The host's command, with a limit of open files: "-S" for the soft one alone, "" for both.
fn limited(site: &Folder, which: &str, files: u32) -> Command {
    let mut command = Command::new("sh");
    let script = format!("ulimit {which} -n {files} && exec \"$0\" host run --config host");
    command.args(["-c", &script, env!("CARGO_BIN_EXE_headcount")]).current_dir(site.path());
    command
}

fn idle_connections(host: &Host, number: usize) -> Vec<TcpStream> {
    (0..number).map(|_| TcpStream::connect(&host.tcp).unwrap()).collect()
}

#[test]
fn a_host_takes_more_files_than_it_is_given_at_first() {
    let site = enrolled_site("1");
    machine(&site, "a");
    let host = Host::start(limited(&site, "-S", 64).stderr(Stdio::null()));
    let _idle = idle_connections(&host, 100);
    activate(&site, "a", &host.tcp, "tcp").expect(0);
    host.stop();
}

#[test]
fn idle_connections_do_not_keep_the_counts_from_the_disk() {
    let site = enrolled_site("1");
    machine(&site, "a");
    configure(&site, "connections_per_source = 128", "connections_per_source = 4096");
    let mut host = Host::start(limited(&site, "", 96).stderr(Stdio::piped()));
    let idle = idle_connections(&host, 120);
    activate(&site, "a", &host.udp, "udp").expect(0);
    let start = Instant::now();
    while count(&site) != 1 {
        assert!(start.elapsed() < PATIENCE, "never saved");
        std::thread::sleep(Duration::from_millis(100));
    }
    drop(idle);
    host.terminate();
    let log = host.log();
    host.stopped();
    assert!(log.contains("fewer connections than configured"), "{log}");
    assert!(log.contains("turned away"), "{log}");
    assert!(!log.contains("cannot save") && !log.contains("cannot accept"), "{log}");
}

#[test]
fn two_hosts_do_not_share_a_folder() {
    let site = enrolled_site("1");
    let host = Host::run(&site);
    run_to_its_end(&site).expect(1).says("another host runs with this folder");
    // Looking is allowed.
    assert_eq!(count(&site), -1);
    host.stop();
}

#[test]
fn a_pool_that_refused_everybody_says_so() {
    let site = enrolled_site("1");
    let host = Host::run(&site);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let yesterday = UnixTime::from_secs(now().as_secs() - 86_400);
    socket.send_to(&site::request(&site, yesterday), &host.udp).unwrap();
    socket.recv(&mut [0; 250]).unwrap();
    host.stop();
    let status = site.run(&["host", "status", "--config", "host"]).expect(0);
    let status = status.says("-1").says("nobody has been counted yet");
    status.says("1  of these 1 refused").says("1  clock_skew");
}

#[test]
fn a_limit_of_no_connections_is_refused() {
    for name in ["connections", "connections_per_source"] {
        let site = enrolled_site("1");
        let path = site.join("host/host.toml");
        let text = std::fs::read_to_string(&path).unwrap();
        let line = text.lines().find(|line| line.starts_with(&format!("{name} ="))).unwrap();
        configure(&site, &format!("\n{line}\n"), &format!("\n{name} = 0\n"));
        run_to_its_end(&site).expect(2).says(&format!("limits.{name} = 0: at least 1"));
    }
}

#[test]
fn two_setup_keys_with_one_id_are_refused() {
    let site = enrolled_site("1");
    let stranger = enrolled_site("1");
    let theirs = std::fs::read(stranger.join("vendor/products/router.product.toml")).unwrap();
    site.file("host/other.product.toml", theirs);
    let one = "products = [\"router.product.toml\"]";
    configure(&site, one, "products = [\"router.product.toml\", \"other.product.toml\"]");
    run_to_its_end(&site).expect(2).says("different setup keys");
    // The same file twice is clumsy, and no conflict.
    std::fs::copy(site.join("host/router.product.toml"), site.join("host/other.product.toml"))
        .unwrap();
    site.run(&["host", "status", "--config", "host"]).expect(0);
}

#[test]
fn a_state_of_a_newer_version_is_not_called_damaged() {
    let site = enrolled_site("1");
    let mut image = b"HCST\x02\x02\0\0\0\0\0\0\0\0\0\x01\0\0\0\x01x".to_vec();
    let checksum = crc::Crc::<u32>::new(&crc::CRC_32_ISO_HDLC).checksum(&image);
    image.extend(checksum.to_be_bytes());
    site.file("host/state/host.a", &image);
    for verb in ["run", "status"] {
        let ended = site.run(&["host", verb, "--config", "host"]).expect(7);
        assert!(!ended.stderr.contains("Move"), "{ended:?}");
        ended.says("of a newer version").says("format 2");
    }
    // It is still there.
    assert_eq!(std::fs::read(site.join("host/state/host.a")).unwrap(), image);
}
