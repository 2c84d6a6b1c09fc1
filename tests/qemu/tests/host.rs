//! The host's firmware counts machines that run the `headcount` program.

use headcount_qemu::program::Ended;
use headcount_qemu::site::Site;
use headcount_qemu::state::Flash;

/// The threshold of the product `station`.
const THRESHOLD: u32 = 25;

#[test]
fn it_activates_25_programs_by_tcp() {
    activates_25_programs("tcp");
}

#[test]
fn it_activates_25_programs_by_udp() {
    activates_25_programs("udp");
}

fn activates_25_programs(transport: &str) {
    let site = Site::new();
    let names: Vec<_> = (1..=THRESHOLD).map(|number| format!("machine-{number}")).collect();
    for name in &names {
        site.machine(name, "station");
    }
    // It ends by itself in the third round at the latest. (On a slow machine some datagrams are sent
    // again, and answered again.)
    let enough = 3 * THRESHOLD;
    let host = site.host(&[&format!("answers={enough}")]);
    for (number, name) in (1..).zip(&names) {
        let expected = if number < THRESHOLD { 3 } else { 0 };
        let ended = site.activate(name, host.address, transport).expect(expected);
        assert_eq!(counted(&ended), number, "{name}: {ended:?}");
        assert_eq!(ended.json()["activated"], number == THRESHOLD, "{name}");
    }
    for name in &names {
        let ended = site.activate(name, host.address, transport).expect(0);
        assert_eq!(counted(&ended), THRESHOLD, "{name}: {ended:?}");
        assert_eq!(site.status(name)["status"], "licensed", "{name}");
    }
    // Nobody is answered any more once it has ended.
    let answered = |name: &&String| site.activate(name, host.address, transport).code == 0;
    let third = names.iter().take_while(answered).count();
    println!("answered in the third round: {third}");
    let ended = host.firmware.expect(0);

    // The firmware's own account agrees.
    for number in 1..=THRESHOLD {
        let word = format!("counted, now {number}");
        assert!(ended.log.iter().any(|line| line.ends_with(&word)), "{word}: {:#?}", ended.log);
    }
    ended.line(&format!("INFO machines Some({THRESHOLD}), limit {}", 2 * THRESHOLD));
    let granted = ended.number("HostCounters", "granted");
    assert!(granted >= enough, "{granted}");
    assert_eq!(ended.lines("counted, now ") as u32, granted);
    assert_eq!(ended.number("HostCounters", "refused"), 0);
    assert_eq!(ended.number("HostCounters", "silent"), 0);
    assert_eq!(ended.number("PoolCounters", "requests"), granted);
    assert_eq!(ended.number("PoolCounters", "failed"), 0);
    let (used, other) = match transport {
        "tcp" => ("TcpCounters", "UdpCounters"),
        _ => ("UdpCounters", "TcpCounters"),
    };
    for (counters, expected) in [(used, granted), (other, 0)] {
        assert_eq!(ended.number(counters, "frames"), expected);
        assert_eq!(ended.number(counters, "answers"), expected);
        assert_eq!(ended.number(counters, "silences"), 0);
    }
    // And so does what it stored.
    let flash = Flash::read(&site.join("host.flash"));
    assert_eq!(flash.machines(), THRESHOLD);
    assert_eq!(flash.snapshot().unwrap().counters.granted, granted);
}

/// The count that the host answered.
fn counted(ended: &Ended) -> u32 {
    let document = ended.json();
    if let Some(count) = document["activation"]["count"].as_u64() {
        return u32::try_from(count).unwrap();
    }
    let cause = document["error"]["cause"].as_str().unwrap_or_default();
    let count = cause.strip_prefix("the host counts ").and_then(|rest| rest.split(' ').next());
    count.and_then(|count| count.parse().ok()).unwrap_or_else(|| panic!("{ended:?}"))
}
