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
    // As many answers as are wanted, and not one more: a run that goes on fails the test.
    let answers = format!("answers={}", 2 * THRESHOLD);
    let host = site.host(&[&answers]);
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
    let ended = host.firmware.expect(0);

    // The firmware's own account agrees.
    for number in 1..=THRESHOLD {
        let word = format!("counted, now {number}");
        let times = ended.log.iter().filter(|line| line.ends_with(&word)).count() as u32;
        // The last count is also what all are told who ask again.
        let expected = if number == THRESHOLD { THRESHOLD + 1 } else { 1 };
        assert_eq!(times, expected, "{word}: {:#?}", ended.log);
    }
    let asked = 2 * THRESHOLD;
    ended.line(&format!("INFO machines Some({THRESHOLD}), limit {asked}"));
    assert_eq!(ended.number("PoolCounters", "requests"), asked);
    assert_eq!(ended.number("PoolCounters", "failed"), 0);
    assert_eq!(ended.number("HostCounters", "granted"), asked);
    assert_eq!(ended.number("HostCounters", "refused"), 0);
    assert_eq!(ended.number("HostCounters", "silent"), 0);
    let (used, other) = match transport {
        "tcp" => ("TcpCounters", "UdpCounters"),
        _ => ("UdpCounters", "TcpCounters"),
    };
    for (counters, expected) in [(used, asked), (other, 0)] {
        assert_eq!(ended.number(counters, "frames"), expected);
        assert_eq!(ended.number(counters, "answers"), expected);
    }
    // And so does what it stored.
    let flash = Flash::read(&site.join("host.flash"));
    assert_eq!(flash.machines(), THRESHOLD);
    assert_eq!(flash.snapshot().unwrap().counters.granted, asked);
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
