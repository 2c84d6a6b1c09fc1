//! The client's firmware finds hosts, programs all of them, in a real BIND on this machine.

#[path = "../../common/named.rs"]
mod named;

use std::fmt::Write as _;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use headcount_qemu::capture::{Payload, payloads};
use headcount_qemu::firmware::Ended;
use headcount_qemu::site::{Deaf, Site, THIS_MACHINE};
use headcount_qemu::state::Flash;
use named::{NameServer, Zone, can_run};

/// The threshold of the product `appliance`.
const THRESHOLD: i64 = 5;

/// What is needed for a name server.
const BIND: [&str; 2] = ["named", "dig"];

/// Hours in seconds: time for some renewals.
const HOURS: [&str; 2] = ["speed=3600", "minutes=180"];

/// A zone with records, and one without any.
fn name_server(records: &str) -> NameServer {
    let zone = |name, records| Zone { name, records, updates: "" };
    NameServer::bind(&[], &[zone("site.example", records), zone("empty.example", "")])
}

/// What a unit is told of a name server on this port, and its flash.
fn arguments(port: u16) -> [String; 3] {
    let domains = "domain=empty.example,site.example";
    [domains.into(), format!("dns={THIS_MACHINE}:{port}"), "state=unit.flash".into()]
}

/// What it wanted to know and whom it asked, in this order.
fn steps(ended: &Ended) -> Vec<&str> {
    let steps = ended.log.iter().filter_map(|line| {
        let step = line.strip_prefix("INFO ")?;
        step.split_once(" at ").map_or(Some(step), |(asked, _)| Some(asked))
    });
    steps.filter(|step| step.starts_with("looking ") || step.starts_with("asking ")).collect()
}

/// The host that it asks first at the next start.
fn remembered(flash: &Path) -> Option<String> {
    Flash::read_remembered(flash).remembered()
}

#[test]
fn it_finds_its_host_remembers_it_and_moves_to_another() {
    if !can_run(&BIND) {
        return;
    }
    // Two hosts that know nothing of one another.
    let sites = [Site::new(), Site::new()];
    let [one, two] = sites.each_ref().map(|site| {
        // As often as a client renews at all: it shall not take weeks.
        site.configure_program("renewal_interval_minutes = 10080", "renewal_interval_minutes = 15");
        site.host_that_counted(THRESHOLD - 1)
    });
    let deaf = Deaf::new();
    let dead_port = deaf.port();
    let server = name_server(&format!(
        "_headcount._tcp SRV 30 0 {} two\n SRV 10 0 {dead_port} dead\n SRV 20 0 {} one\n\
         dead A {THIS_MACHINE}\none A {THIS_MACHINE}\ntwo A {THIS_MACHINE}",
        two.tcp, one.tcp,
    ));
    let site = &sites[0];
    let arguments = arguments(server.port);
    let run = |more: &[&str]| {
        let arguments: Vec<_> =
            arguments.iter().map(String::as_str).chain(more.iter().copied()).collect();
        site.searching_client("unit", &arguments, None).expect(0)
    };
    let [dead, first, second] = [
        format!("dead.site.example:{dead_port}"),
        format!("one.site.example:{}", one.tcp),
        format!("two.site.example:{}", two.tcp),
    ];
    let flash = site.join("unit.flash");
    let ask = |host: &str| format!("asking {host}");
    let search =
        ["looking for _headcount._tcp.empty.example", "looking for _headcount._tcp.site.example"];

    // The first domain has no hosts. In the second the best one is dead.
    let ended = run(&[]);
    assert_eq!(steps(&ended), [search[0], search[1], &ask(&dead), &ask(&first)]);
    ended.line(&format!("{THIS_MACHINE}:{} answers: Activated", one.tcp));
    assert_eq!(remembered(&flash), Some(first.clone()));

    // Off and on: renewals are of the host that answered last, and no other is looked for.
    let ended = run(&HOURS);
    ended.line(&format!("remembered: {first}"));
    assert!(ended.lines("answers: Activated") >= 1, "{:#?}", ended.log);
    assert_eq!(steps(&ended)[..2], ["looking up one.site.example", &ask(&first)]);
    assert_eq!(ended.lines("looking for"), 0, "{:#?}", ended.log);

    // That host is gone: DNS knows another.
    one.stop();
    let ended = run(&HOURS);
    assert_eq!(
        steps(&ended)[..6],
        [
            "looking up one.site.example",
            &ask(&first),
            search[0],
            search[1],
            &ask(&dead),
            &ask(&second)
        ],
    );
    ended.line(&format!("{THIS_MACHINE}:{} answers: Activated", two.tcp));
    assert_eq!(remembered(&flash), Some(second.clone()));

    let ended = run(&HOURS);
    ended.line(&format!("remembered: {second}"));
    assert_eq!(steps(&ended)[..2], ["looking up two.site.example", &ask(&second)]);
    two.stop();
    assert_eq!(sites.map(|site| site.program_count()), [THRESHOLD; 2], "one machine, on two hosts");
}

#[test]
fn it_asks_again_when_the_name_server_was_silent() {
    if !can_run(&BIND) {
        return;
    }
    let site = Site::new();
    let host = site.host_that_counted(THRESHOLD - 1);
    let port = host.udp;
    let server = name_server(&format!("_headcount._udp SRV 10 0 {port} one\none A {THIS_MACHINE}"));
    let gate = Gate::before(server.port);
    let arguments = arguments(gate.port);
    let more = ["transport=udp", "speed=3600", "minutes=100000"];
    let arguments: Vec<_> = arguments.iter().map(String::as_str).chain(more).collect();
    let unit = site.searching_client("unit", &arguments, None);
    let says = |text: &str| {
        headcount_qemu::eventually(text, || {
            unit.lines().iter().any(|line| line.contains(text)).then_some(())
        });
    };
    // Both domains, each twice.
    says("WARN not found");
    says("looking for _headcount._udp.site.example");
    headcount_qemu::eventually("two questions for each domain", || {
        (unit.lines().iter().filter(|line| line.contains("WARN not found")).count() >= 2)
            .then_some(())
    });
    assert!(gate.shut_out.load(Ordering::Relaxed) >= 4);
    gate.open.store(true, Ordering::Relaxed);
    says("answers: Activated");
    let ended = unit.cut();
    assert_eq!(steps(&ended).last(), Some(&&*format!("asking one.site.example:{port}")));
    gate.close();
    host.stop();
    assert_eq!(site.program_count(), THRESHOLD);
}

#[test]
fn it_takes_a_long_answer_by_tcp() {
    if !can_run(&BIND) {
        return;
    }
    let site = Site::new();
    let host = site.host_that_counted(THRESHOLD - 1);
    let mut records = format!("_headcount._tcp SRV 10 0 {} one\none A {THIS_MACHINE}\n", host.tcp);
    for number in 0..30 {
        writeln!(records, "_headcount._tcp SRV 20 0 1688 host-{number:02}.far-away").unwrap();
    }
    let server = name_server(&records);
    let arguments = arguments(server.port);
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    let ended = site.searching_client("unit", &arguments, Some("dns.pcap")).expect(0);
    ended.line("answers: Activated");

    let dns = payloads(&site.join("dns.pcap"));
    let answers = dns.iter().filter(|payload| payload.from_port == server.port);
    let (datagrams, streams): (Vec<&Payload>, Vec<_>) = answers.partition(|payload| payload.udp);
    let is_truncated = |message: &&&Payload| message.bytes[2] & 2 != 0;
    assert_eq!(datagrams.iter().filter(is_truncated).count(), 1);
    let length: usize = streams.iter().map(|payload| payload.bytes.len()).sum();
    assert!((1_233..2_048).contains(&length), "{length} bytes by TCP");
    host.stop();
}

/// What stands before a name server, by UDP, and is shut at first.
struct Gate {
    port: u16,
    open: Arc<AtomicBool>,
    closed: Arc<AtomicBool>,
    /// Questions that came while it was shut.
    shut_out: Arc<AtomicU32>,
    thread: JoinHandle<()>,
}

impl Gate {
    fn before(server: u16) -> Self {
        let [outside, inside] =
            [(); 2].map(|()| UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap());
        inside.connect((Ipv4Addr::LOCALHOST, server)).unwrap();
        for socket in [&outside, &inside] {
            socket.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        }
        let port = outside.local_addr().unwrap().port();
        let [open, closed] = [(); 2].map(|()| Arc::new(AtomicBool::new(false)));
        let shut_out = Arc::new(AtomicU32::new(0));
        let (is_open, is_closed, count) = (open.clone(), closed.clone(), shut_out.clone());
        let thread = std::thread::spawn(move || {
            let mut message = [0; 4_096];
            while !is_closed.load(Ordering::Relaxed) {
                let Ok((length, peer)) = outside.recv_from(&mut message) else { continue };
                if !is_open.load(Ordering::Relaxed) {
                    count.fetch_add(1, Ordering::Relaxed);
                    continue;
                }
                inside.send(&message[..length]).unwrap();
                if let Ok(length) = inside.recv(&mut message) {
                    outside.send_to(&message[..length], peer).unwrap();
                }
            }
        });
        Self { port, open, closed, shut_out, thread }
    }

    fn close(self) {
        self.closed.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
    }
}
