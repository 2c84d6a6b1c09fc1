//! The client's firmware is activated by the host that is a program.

use headcount_qemu::program::RunningHost;
use headcount_qemu::site::{Deaf, Site, THIS_MACHINE};
use headcount_qemu::state::Flash;

/// The threshold of the product `appliance`.
const THRESHOLD: i64 = 5;

#[test]
fn it_is_activated_reboots_and_renews_by_tcp() {
    is_activated_reboots_and_renews("tcp");
}

#[test]
fn it_is_activated_reboots_and_renews_by_udp() {
    is_activated_reboots_and_renews("udp");
}

fn is_activated_reboots_and_renews(transport: &str) {
    let site = Site::new();
    // As often as a client renews at all: it shall not take weeks.
    site.configure_program("renewal_interval_minutes = 10080", "renewal_interval_minutes = 15");
    let host = site.host_that_counted(THRESHOLD - 2);
    let address = address(&host, transport);
    let transport = format!("transport={transport}");
    let state = "state=unit.flash";

    // One machine is missing, then none: the fifth is activated when it asks.
    let below = site.client("other", &address, &[&transport]).expect(3);
    below.line(&format!("{address} answers: "));
    let ended = site.client("unit", &address, &[&transport, state]).expect(0);
    ended.line("stored state: Nothing");
    ended.line(&format!("{address} answers: Activated"));
    ended.line("asked 1 times, activated 1 times");

    // Off and on, without anybody to ask.
    let deaf = Deaf::new();
    let ended = site.client("unit", &deaf.address(), &[&transport, state]).expect(0);
    ended.line("stored state: Whole");
    ended.line("asked 0 times, activated 0 times");

    // Hours in seconds, and not more in one: it stores each hour that it ran, and needs time for it.
    let first = activation(&site);
    let hours = [&transport, state, "speed=3600", "minutes=180"];
    let ended = site.client("unit", &address, &hours).expect(0);
    let renewals = ended.lines("answers: Activated");
    assert!(renewals >= 1, "{:#?}", ended.log);
    ended.line(&format!("asked {renewals} times, activated {renewals} times"));
    assert_ne!(activation(&site), first, "the renewal is what is stored");
    host.stop();
    assert_eq!(site.program_count(), THRESHOLD, "renewals count nobody twice");
}

#[test]
fn the_second_host_activates_it_when_the_first_is_dead_by_tcp() {
    second_host_activates("tcp");
}

#[test]
fn the_second_host_activates_it_when_the_first_is_dead_by_udp() {
    second_host_activates("udp");
}

fn second_host_activates(transport: &str) {
    let site = Site::new();
    let host = site.host_that_counted(THRESHOLD - 1);
    let dead = Deaf::new();
    let address = address(&host, transport);
    let hosts = format!("{},{address}", dead.address());
    let ended = site.client("unit", &hosts, &[&format!("transport={transport}")]).expect(0);
    ended.line(&format!("WARN {} does not: ", dead.address()));
    ended.line(&format!("{address} answers: Activated"));
    ended.line("asked 2 times, activated 1 times");
    host.stop();
    assert_eq!(site.program_count(), THRESHOLD);
}

/// The host's address, as the firmware reaches it.
fn address(host: &RunningHost, transport: &str) -> String {
    let port = if transport == "tcp" { host.tcp } else { host.udp };
    format!("{THIS_MACHINE}:{port}")
}

/// The answer on which the stored activation rests.
fn activation(site: &Site) -> [u8; 250] {
    let stored = Flash::read(&site.join("unit.flash")).client().expect("a stored state");
    stored.activation.expect("an activation").response
}
