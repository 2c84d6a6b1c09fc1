//! A real BIND on loopback, as a test's name server.
#![allow(dead_code, reason = "each test takes the parts it needs")]

use std::fmt::Write as _;
use std::net::{TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Long enough for any machine; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(30);

/// Whether these programs are here. A test that needs them ends when they are not; with CI set in the
/// environment it fails.
pub(crate) fn can_run(programs: &[&str]) -> bool {
    let missing: Vec<_> =
        programs.iter().filter(|name| !Path::new(&program(name)).exists()).collect();
    assert!(missing.is_empty() || std::env::var_os("CI").is_none(), "not installed: {missing:?}");
    if !missing.is_empty() {
        eprintln!("!!! SKIPPED: not installed: {missing:?}");
    }
    missing.is_empty()
}

/// Where a program is. Those of administrators are not in everybody's path.
pub(crate) fn program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin".into(), "/sbin".into()]);
    folders
        .map(|folder| folder.join(name))
        .find(|path| path.exists())
        .unwrap_or_else(|| name.into())
}

/// Whether this machine has IPv6, as containers often have not. What needs it is left out then.
pub(crate) fn has_ipv6() -> bool {
    let has_ipv6 = UdpSocket::bind("[::1]:0").is_ok();
    if !has_ipv6 {
        eprintln!("!!! without IPv6: this machine has none");
    }
    has_ipv6
}

/// A port that is free on loopback, for TCP and UDP, IPv4 and IPv6.
pub(crate) fn free_port() -> u16 {
    let addresses: &[&str] = if has_ipv6() { &["127.0.0.1", "::1"] } else { &["127.0.0.1"] };
    let is_free = |port: u16| {
        addresses.iter().all(|ip| {
            TcpListener::bind((*ip, port)).is_ok() && UdpSocket::bind((*ip, port)).is_ok()
        })
    };
    let choice = || UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    (0..100).map(|_| choice()).find(|port| is_free(*port)).expect("a free port")
}

/// Calls until there is a result.
#[track_caller]
pub(crate) fn eventually<T>(what: &str, mut attempt: impl FnMut() -> Option<T>) -> T {
    let start = Instant::now();
    loop {
        if let Some(result) = attempt() {
            return result;
        }
        assert!(start.elapsed() < PATIENCE, "{what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// A zone of the server: its name, more lines of its file, and its clause on updates.
pub(crate) struct Zone<'a> {
    pub(crate) name: &'a str,
    pub(crate) records: &'a str,
    pub(crate) updates: &'a str,
}

/// A name server that is killed when the test ends.
pub(crate) struct NameServer {
    child: Child,
    folder: TempDir,
    pub(crate) port: u16,
}

impl NameServer {
    /// Starts BIND with keys of these names and these zones.
    pub(crate) fn bind(keys: &[&str], zones: &[Zone<'_>]) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut config = format!(
            "options {{ directory \".\"; pid-file none; session-keyfile none; recursion no;\n\
             listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 port {port} {{ ::1; }};\n\
             dnssec-validation no; notify no; }};\ncontrols {{ }};\n"
        );
        for key in keys {
            config += &key_file(folder.path(), key);
        }
        for Zone { name, records, updates } in zones {
            let file = format!("{name}.zone");
            std::fs::write(folder.path().join(&file), zone_file(name, records)).unwrap();
            writeln!(config, "zone \"{name}\" {{ type primary; file \"{file}\"; {updates} }};")
                .unwrap();
        }
        std::fs::write(folder.path().join("named.conf"), config).unwrap();
        let mut command = Command::new(program("named"));
        command.args(["-n1", "-g", "-c", "named.conf"]);
        let server = Self::start(command, folder, port);
        let first = zones[0].name;
        eventually("named starts", || (!server.dig("SOA", first).is_empty()).then_some(()));
        server
    }

    /// Starts Knot with one key, "hosts", which may change what the administrator's guide says.
    pub(crate) fn knot(zone: &str) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let key = key_file(folder.path(), "hosts");
        let secret = key.split('"').nth(3).unwrap();
        std::fs::write(folder.path().join(format!("{zone}.zone")), zone_file(zone, "")).unwrap();
        let path = folder.path().display();
        let config = format!(
            "server:\n  rundir: {path}\n  listen: 127.0.0.1@{port}\n\
             database:\n  storage: {path}\n\
             key:\n- id: hosts\n  algorithm: hmac-sha256\n  secret: {secret}\n\
             acl:\n- id: hosts\n  key: hosts\n  action: update\n  update-type: [SRV]\n  \
             update-owner: name\n  update-owner-match: equal\n  \
             update-owner-name: [_headcount._tcp.{zone}., _headcount._udp.{zone}.]\n\
             zone:\n- domain: {zone}\n  storage: {path}\n  file: {zone}.zone\n  acl: hosts\n"
        );
        std::fs::write(folder.path().join("knot.conf"), config).unwrap();
        let mut command = Command::new(program("knotd"));
        command.args(["-c", "knot.conf"]);
        let server = Self::start(command, folder, port);
        eventually("knotd starts", || (!server.dig("SOA", zone).is_empty()).then_some(()));
        server
    }

    fn start(mut command: Command, folder: TempDir, port: u16) -> Self {
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        command.current_dir(folder.path()).stdin(Stdio::null());
        let child = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        Self { child, folder, port }
    }

    /// Where it is, by IPv4.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The file of a key.
    pub(crate) fn key(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.key"))
    }

    /// What `dig` is told, as sorted lines.
    pub(crate) fn dig(&self, kind: &str, name: &str) -> Vec<String> {
        self.dig_at("127.0.0.1", &["+short", kind, name])
    }

    /// The same by another address, or with other options.
    pub(crate) fn dig_at(&self, address: &str, arguments: &[&str]) -> Vec<String> {
        let mut command = Command::new(program("dig"));
        command.args([format!("@{address}"), "-p".into(), self.port.to_string()]);
        let output = command.args(["+tries=1", "+time=2"]).args(arguments).output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with(';'));
        let mut lines: Vec<_> = lines.map(ToOwned::to_owned).collect();
        lines.sort();
        lines
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default();
            eprintln!("--- the name server's log:\n{log}");
        }
    }
}

/// Makes a key, in a file that only its owner may read.
pub(crate) fn key_file(folder: &Path, name: &str) -> String {
    let mut command = Command::new(program("tsig-keygen"));
    let output = command.args(["-a", "hmac-sha256", name]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    write_secret(&folder.join(format!("{name}.key")), &text);
    text
}

/// Writes a file that only its owner may read.
pub(crate) fn write_secret(path: &Path, text: &str) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn zone_file(name: &str, records: &str) -> String {
    format!(
        "$ORIGIN {name}.\n$TTL 600\n@ SOA ns.{name}. admin.{name}. 1 3600 600 86400 60\n@ NS ns\n\
         ns A 127.0.0.1\n{records}\n"
    )
}
