//! The store in files: real ones, in a directory of their own for each test.

use std::fs;
use std::path::Path;

use headcount::storage::FileStore;
use tempfile::TempDir;

use super::*;

/// A directory of its own for a test, removed at the end.
struct Directory(TempDir);

impl Directory {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.path()).unwrap();
        let mut names: Vec<_> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }
}

fn load(directory: &Directory) -> Option<Vec<u8>> {
    let mut buffer = [0; BUFFER];
    let store = FileStore::open(directory.path(), "client").unwrap();
    match Slots::open(store, Kind::Client, &mut buffer).unwrap().1 {
        Found::Whole { payload, .. } => Some(payload.to_vec()),
        Found::Nothing | Found::Damaged { .. } => None,
    }
}

fn save(directory: &Directory, payload: &[u8]) {
    let mut buffer = [0; BUFFER];
    let store = FileStore::open(directory.path(), "client").unwrap();
    let (mut slots, _) = Slots::open(store, Kind::Client, &mut buffer).unwrap();
    slots.save(payload, &mut buffer).unwrap();
}

#[test]
fn saves_survive_and_leave_two_files() {
    let directory = Directory::new();
    assert_eq!(load(&directory), None);
    for payload in [&b"one"[..], b"two", b"three"] {
        save(&directory, payload);
        assert_eq!(load(&directory).unwrap(), payload);
    }
    assert_eq!(directory.names(), ["client.a", "client.b"]);
}

#[test]
fn truncated_file_loads_the_older() {
    let directory = Directory::new();
    save(&directory, b"older");
    save(&directory, b"newer");
    let newer = fs::read(directory.path().join("client.b")).unwrap();
    for length in 0..newer.len() {
        fs::write(directory.path().join("client.b"), &newer[..length]).unwrap();
        assert_eq!(load(&directory).unwrap(), b"older", "{length}");
    }
    fs::write(directory.path().join("client.a"), &newer[..1]).unwrap();
    assert_eq!(load(&directory), None);
}

#[test]
fn what_a_cut_left_beside_is_ignored_and_replaced() {
    let directory = Directory::new();
    save(&directory, b"older");
    let beside = directory.path().join("client.b.new");
    fs::write(&beside, [0x5a; 4096]).unwrap();
    assert_eq!(load(&directory).unwrap(), b"older");
    save(&directory, b"newer");
    assert_eq!(load(&directory).unwrap(), b"newer");
    assert_eq!(directory.names(), ["client.a", "client.b"]);
}

#[test]
fn file_longer_than_the_buffer_is_damaged_not_cut() {
    let directory = Directory::new();
    save(&directory, b"older");
    save(&directory, b"newer");
    let path = directory.path().join("client.b");
    let mut longer = fs::read(&path).unwrap();
    longer.resize(BUFFER + 1, 0);
    fs::write(&path, longer).unwrap();
    let mut buffer = [0; BUFFER];
    let store = FileStore::open(directory.path(), "client").unwrap();
    let (_, found) = Slots::open(store, Kind::Client, &mut buffer).unwrap();
    let damage = Damage::TooLong { length: BUFFER + 1, buffer: BUFFER };
    let other = SlotState::Damaged(damage);
    assert_eq!(found, Found::Whole { payload: b"older", slot: Slot::A, sequence: 1, other });
}

#[test]
fn errors_name_the_path() {
    let directory = Directory::new();
    let missing = directory.path().join("missing");
    let error = FileStore::open(&missing, "client").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotFound);
    assert!(error.to_string().contains("missing"), "{error}");
    fs::write(&missing, b"").unwrap();
    let error = FileStore::open(&missing, "client").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::NotADirectory);
    for stem in ["", ".", "..", "a/b", "/", "client/"] {
        let error = FileStore::open(directory.path(), stem).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput, "{stem}");
    }

    // A directory where the file should be: neither read nor replaced.
    fs::create_dir(directory.path().join("client.a")).unwrap();
    let mut store = FileStore::open(directory.path(), "client").unwrap();
    assert_eq!(store.path(Slot::A), directory.path().join("client.a"));
    let error = store.read(Slot::A, &mut [0; 9]).unwrap_err();
    assert!(error.to_string().contains("client.a"), "{error}");
    let error = store.write(Slot::A, b"image").unwrap_err();
    assert!(error.to_string().contains("client.a"), "{error}");
    assert_eq!(directory.names(), ["client.a", "missing"]);
}

#[cfg(unix)]
#[test]
fn files_are_their_owners_alone_whatever_lay_beside() {
    use std::os::unix::fs::{PermissionsExt, symlink};

    let directory = Directory::new();
    let elsewhere = directory.path().join("elsewhere");
    fs::write(&elsewhere, b"not ours").unwrap();
    symlink(&elsewhere, directory.path().join("client.a.new")).unwrap();
    let beside = directory.path().join("client.b.new");
    fs::write(&beside, b"").unwrap();
    fs::set_permissions(&beside, fs::Permissions::from_mode(0o666)).unwrap();
    save(&directory, b"one");
    save(&directory, b"two");
    for name in ["client.a", "client.b"] {
        let metadata = fs::symlink_metadata(directory.path().join(name)).unwrap();
        assert!(metadata.is_file());
        assert_eq!(metadata.permissions().mode() & 0o777, 0o600);
    }
    assert_eq!(fs::read(elsewhere).unwrap(), b"not ours");
}
