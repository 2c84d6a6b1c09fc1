//! Questions to resolvers over stacks and networks that misbehave, in virtual time.
#![cfg(feature = "nal")]

#[path = "discovery/captured.rs"]
mod captured;
#[path = "common/scripted_stack/mod.rs"]
mod scripted_stack;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use captured::Captured;
use headcount::discovery::message::{AnswerError, Fault, Malformed, Rcode};
use headcount::time::Instant;
use headcount::transport::{
    DnsExchange, DnsFailure, DnsProgress, DnsTrouble, MAX_RESOLVERS, Platform,
    RESOLVER_TCP_TIMEOUT, RESOLVER_TIMEOUT, look_up,
};
use scripted_stack::resolver::ScriptedBoth;
use scripted_stack::tcp_client::{Act, Acts, ScriptedTcp};
use scripted_stack::udp::{ScriptedUdp, Sending};
use scripted_stack::{Rng, Style};

const STYLES: [Style; 2] = [Style::Std, Style::Smoltcp];

fn resolver(n: u8) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, n), 53).into()
}

fn stack(style: Style) -> ScriptedBoth {
    let mut tcp = ScriptedTcp::willing(&[]);
    tcp.request_len = srv_many().query.len() + 2;
    ScriptedBoth { udp: ScriptedUdp::new(style), tcp, connected: Vec::new() }
}

/// Sixty hosts: truncated by UDP, whole by TCP. Two captures of one question, whose ids differ.
fn srv_many() -> &'static Captured {
    Captured::named("srv-many")
}

/// What a resolver says by UDP to the question of `srv_many`.
fn truncated() -> Vec<u8> {
    let mut answer = srv_many().query.to_vec();
    answer[2] |= 0x82;
    answer
}

/// With the length that TCP puts before it.
fn streamed(message: &[u8]) -> Vec<u8> {
    [&u16::try_from(message.len()).unwrap().to_be_bytes(), message].concat()
}

/// How a question ends, when, and with which message.
struct End {
    progress: DnsProgress,
    at: u64,
    message: Vec<u8>,
}

impl End {
    fn trouble(&self) -> Option<DnsTrouble> {
        match self.progress {
            DnsProgress::Failed(DnsFailure::NoAnswer { trouble, .. }) => trouble,
            other => panic!("{other:?}"),
        }
    }
}

/// Polls at each wake-up and at each arrival, and with `extra` at random times before.
fn drive_with(
    stack: &mut ScriptedBoth,
    case: &Captured,
    resolvers: &[SocketAddr],
    buffer: &mut [u8],
    mut extra: Option<Rng>,
) -> End {
    let mut exchange = DnsExchange::new(resolvers, case.query(), buffer);
    for _ in 0..100_000 {
        let now = stack.udp.now;
        assert_eq!(exchange.message(), None);
        match exchange.poll(stack, Instant::from_millis(now)) {
            DnsProgress::Pending { wake_at } => {
                assert!(wake_at >= Instant::from_millis(now));
                let arrival = stack.udp.next_arrival().unwrap_or(u64::MAX).max(now);
                let next = wake_at.as_millis().min(arrival);
                stack.udp.now = match &mut extra {
                    Some(rng) if next > now => now + 1 + rng.below(next - now),
                    _ => next,
                };
            }
            progress => {
                stack.assert_all_closed();
                assert_eq!(exchange.poll(stack, Instant::from_millis(now)), progress);
                let message = exchange.message().unwrap_or_default().to_vec();
                assert_eq!(progress == DnsProgress::Answered, !message.is_empty());
                exchange.close(stack);
                assert_eq!(exchange.message().unwrap_or_default(), message);
                stack.assert_all_closed();
                return End { progress, at: now, message };
            }
        }
    }
    panic!("the exchange does not end");
}

fn drive(stack: &mut ScriptedBoth, case: &Captured, resolvers: &[SocketAddr]) -> End {
    drive_with(stack, case, resolvers, &mut [0; 4096], None)
}

fn asked(stack: &ScriptedBoth) -> Vec<(u64, SocketAddr)> {
    stack.udp.outbox.iter().map(|datagram| (datagram.at, datagram.peer)).collect()
}

#[test]
fn the_first_resolver_answers() {
    for style in STYLES {
        let case = Captured::named("srv");
        let mut stack = stack(style);
        stack.udp.arrives(30, resolver(1), case.answer);
        let end = drive(&mut stack, case, &[resolver(1), resolver(2)]);
        assert_eq!((end.progress, end.at), (DnsProgress::Answered, 30));
        assert_eq!(end.message, case.answer);
        assert_eq!(asked(&stack), [(0, resolver(1))]);
        assert_eq!(stack.udp.outbox[0].bytes, case.query);
    }
}

#[test]
fn no_such_name_is_an_answer() {
    for file in ["srv-nxdomain", "srv-nodata"] {
        let case = Captured::named(file);
        let mut stack = stack(Style::Std);
        stack.udp.arrives(1, resolver(1), case.answer);
        let end = drive(&mut stack, case, &[resolver(1), resolver(2)]);
        assert_eq!((end.progress, end.at), (DnsProgress::Answered, 1));
    }
}

#[test]
fn silent_resolvers_are_asked_in_two_turns() {
    let case = Captured::named("srv");
    for style in STYLES {
        for extra in [None, Some(Rng::new(7))] {
            let mut stack = stack(style);
            let resolvers = [resolver(1), resolver(2)];
            let end = drive_with(&mut stack, case, &resolvers, &mut [0; 4096], extra);
            let waited = Duration::from_secs(8);
            let failure = DnsFailure::NoAnswer { sent: 4, ignored: 0, waited, trouble: None };
            assert_eq!((end.progress, end.at), (DnsProgress::Failed(failure), 8_000));
            let times = [(0, 1), (2_000, 2), (4_000, 1), (6_000, 2)];
            assert_eq!(asked(&stack), times.map(|(at, n)| (at, resolver(n))));
        }
    }
    let mut stack = stack(Style::Std);
    let five: Vec<_> = (1..=5).map(resolver).collect();
    let end = drive(&mut stack, case, &five);
    assert_eq!(end.at, 2_000 * 2 * MAX_RESOLVERS as u64, "the fifth is not asked");
}

#[test]
fn the_second_resolver_answers_when_the_first_does_not() {
    let case = Captured::named("srv");
    let mut stack = stack(Style::Std);
    // The first one, too late: it is another one's turn, and another socket.
    stack.udp.arrives(2_001, resolver(1), case.answer);
    stack.udp.arrives(2_040, resolver(2), case.answer);
    let end = drive(&mut stack, case, &[resolver(1), resolver(2)]);
    assert_eq!((end.progress, end.at), (DnsProgress::Answered, 2_040));
}

#[test]
fn what_is_no_answer_to_this_question_is_passed_over() {
    let case = Captured::named("srv");
    for style in STYLES {
        let mut stack = stack(style);
        let mut other_id = case.answer.to_vec();
        other_id[0] ^= 1;
        let mut other_case = case.answer.to_vec();
        other_case[14] ^= 0x20;
        let other_port = (Ipv4Addr::new(192, 0, 2, 1), 54).into();
        for (peer, bytes) in [
            (resolver(9), case.answer),
            (other_port, case.answer),
            (resolver(1), &other_id),
            (resolver(1), &other_case),
            (resolver(1), case.query),
            (resolver(1), b"x"),
            (resolver(1), Captured::named("srv-many").answer),
        ] {
            stack.udp.arrives(10, peer, bytes);
        }
        // An empty datagram, and more than one poll takes.
        stack.udp.arrives(10, resolver(1), b"");
        for _ in 0..20 {
            stack.udp.arrives(11, resolver(1), &other_id);
        }
        stack.udp.arrives(12, resolver(1), case.answer);
        let end = drive(&mut stack, case, &[resolver(1)]);
        assert_eq!((end.progress, end.at), (DnsProgress::Answered, 12));
        assert_eq!(asked(&stack).len(), 1);
    }
}

#[test]
fn a_flood_does_not_move_the_clock() {
    let case = Captured::named("srv");
    let mut stack = stack(Style::Std);
    let mut other_id = case.answer.to_vec();
    other_id[0] ^= 1;
    for at in 0..4_100 {
        stack.udp.arrives(at, resolver(1), &other_id);
    }
    let end = drive(&mut stack, case, &[resolver(1)]);
    let DnsProgress::Failed(DnsFailure::NoAnswer { sent: 2, ignored, trouble: None, .. }) =
        end.progress
    else {
        panic!("{:?}", end.progress)
    };
    assert_eq!(end.at, 4_000);
    assert!(ignored >= 3_900, "{ignored}");
}

#[test]
fn a_mapped_address_is_the_resolvers() {
    let case = Captured::named("srv");
    let mut stack = stack(Style::Std);
    let mapped = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped();
    stack.udp.arrives(5, (mapped, 53).into(), case.answer);
    assert_eq!(drive(&mut stack, case, &[resolver(1)]).progress, DnsProgress::Answered);
    let other: SocketAddr = (Ipv6Addr::LOCALHOST, 53).into();
    stack.udp.arrives(6, other, case.answer);
    assert_eq!(drive(&mut stack, case, &[other]).progress, DnsProgress::Answered);
}

#[test]
fn a_failure_or_nonsense_asks_the_next_at_once() {
    for (file, damage, trouble) in [
        ("srv-refused", None, AnswerError::Failed(Rcode(5))),
        ("srv-servfail", None, AnswerError::Failed(Rcode(2))),
        (
            "srv",
            Some(0xC0),
            AnswerError::Malformed(Malformed { offset: 45, fault: Fault::Pointer }),
        ),
    ] {
        let case = Captured::named(file);
        let mut answer = case.answer.to_vec();
        if let Some(byte) = damage {
            answer[case.query.len() - 11] = byte;
        }
        let mut stack = stack(Style::Std);
        for (at, n) in [(10, 1), (20, 2), (30, 1), (40, 2)] {
            stack.udp.arrives(at, resolver(n), &answer);
        }
        let end = drive(&mut stack, case, &[resolver(1), resolver(2)]);
        assert_eq!(end.at, 40, "{file}");
        assert_eq!(end.trouble(), Some(DnsTrouble::Answer(trouble)), "{file}");
        let text = match end.progress {
            DnsProgress::Failed(failure) => failure.to_string(),
            other => panic!("{other:?}"),
        };
        assert_eq!(text, format!("the DNS server gave no usable answer: {trouble}"));
    }
}

#[test]
fn a_truncated_answer_is_asked_for_by_tcp() {
    let case = srv_many();
    for size in [1, 2, 3, 61, 1000, usize::MAX] {
        for nothing in [Act::Block, Act::Move(0)] {
            let mut stack = stack(Style::Std);
            stack.udp.arrives(2_030, resolver(2), &truncated());
            stack.tcp.answer = [streamed(case.answer), b"more".to_vec()].concat();
            let pieces = || Acts::list((0..9000).flat_map(|_| [nothing, Act::Move(size)]), nothing);
            stack.tcp.connect = Acts::list([Act::Block, Act::Block], Act::Move(0));
            (stack.tcp.send, stack.tcp.receive) = (pieces(), pieces());
            // Time stands still while the pieces come: only more polls are needed.
            let (resolvers, mut buffer) = ([resolver(1), resolver(2)], [0; 4096]);
            let mut exchange = DnsExchange::new(&resolvers, case.query(), &mut buffer);
            for step in 0..20_000 {
                stack.udp.now = match step {
                    0 => 0,
                    1 | 2 => 2_000,
                    _ => 2_030,
                };
                let now = Instant::from_millis(stack.udp.now);
                if exchange.poll(&mut stack, now) == DnsProgress::Answered {
                    break;
                }
            }
            assert_eq!(exchange.message(), Some(case.answer), "pieces of {size}");
            assert_eq!(stack.tcp.sent, streamed(case.query));
            assert_eq!(stack.connected, [resolver(2); 3], "whoever said that it is truncated");
            assert_eq!(stack.tcp.delivered, case.answer.len() + 2, "and no byte more");
            stack.assert_all_closed();
        }
    }
}

#[test]
fn tcp_that_breaks_off_asks_the_next_by_udp() {
    let case = srv_many();
    let whole = streamed(case.answer);
    let broken = |prepare: &dyn Fn(&mut ScriptedTcp)| {
        let mut stack = stack(Style::Std);
        stack.udp.arrives(10, resolver(1), &truncated());
        stack.tcp.answer.clone_from(&whole);
        prepare(&mut stack.tcp);
        let end = drive(&mut stack, case, &[resolver(1)]);
        assert_eq!(asked(&stack).len(), 2, "asked again");
        (end.trouble(), end.at)
    };
    let stream = |received| Some(DnsTrouble::Stream { received });
    let connect = 10 + RESOLVER_TCP_TIMEOUT.as_millis() as u64;
    let udp = RESOLVER_TIMEOUT.as_millis() as u64;
    let refused = broken(&|tcp| tcp.connect = Acts::always(Act::Fail));
    assert_eq!(refused, (stream(0), 10 + udp));
    let silent = broken(&|tcp| tcp.connect = Acts::always(Act::Block));
    assert_eq!(silent, (stream(0), connect + udp));
    assert_eq!(broken(&|tcp| tcp.has_socket = false), (stream(0), 10 + udp));
    let deaf = broken(&|tcp| tcp.send = Acts::list([Act::Move(5)], Act::Block));
    assert_eq!(deaf, (stream(0), connect + udp));
    let gone = broken(&|tcp| tcp.send = Acts::list([Act::Move(5)], Act::Fail));
    assert_eq!(gone, (stream(0), 10 + udp));
    for nothing in [Act::Block, Act::Move(0)] {
        for (first, received) in [(0, 0), (1, 0), (2, 0)] {
            let acts = || Acts::list((first > 0).then_some(Act::Move(first)), nothing);
            assert_eq!(broken(&|tcp| tcp.receive = acts()), (stream(received), connect + udp));
            let acts = || Acts::list((first > 0).then_some(Act::Move(first)), Act::Fail);
            assert_eq!(broken(&|tcp| tcp.receive = acts()), (stream(received), 10 + udp));
        }
        let acts = || Acts::list([Act::Move(2), Act::Move(100)], nothing);
        assert_eq!(broken(&|tcp| tcp.receive = acts()), (stream(100), connect + udp));
    }
    // The length, and then the end of what it has: a stack that says 0 for it.
    let short = broken(&|tcp| tcp.answer.truncate(1_000));
    assert_eq!(short, (stream(998), connect + udp));
}

#[test]
fn tcp_brings_nonsense_or_too_much() {
    let case = srv_many();
    let with = |answer: Vec<u8>, room: usize| {
        let mut stack = stack(Style::Std);
        stack.udp.arrives(10, resolver(1), &truncated());
        stack.tcp.answer = answer;
        let mut buffer = vec![0; room];
        let end = drive_with(&mut stack, case, &[resolver(1)], &mut buffer, None);
        (end.progress, stack.tcp.delivered)
    };
    let trouble = |answer: Vec<u8>, room| match with(answer, room).0 {
        DnsProgress::Failed(DnsFailure::NoAnswer { trouble, .. }) => trouble,
        other => panic!("{other:?}"),
    };
    let length = case.answer.len();
    assert_eq!(with(streamed(case.answer), length), (DnsProgress::Answered, length + 2));
    let too_long = Some(DnsTrouble::TooLong { length: length as u16 });
    assert_eq!(trouble(streamed(case.answer), length - 1), too_long);
    assert_eq!(with(streamed(case.answer), length - 1).1, 2, "not a byte of it is read");
    let announced = Some(DnsTrouble::TooLong { length: u16::MAX });
    assert_eq!(trouble(vec![0xFF; 70_000], 4096), announced);
    let not_ours = Some(DnsTrouble::Answer(AnswerError::NotOurs));
    assert_eq!(trouble(vec![0, 0], 4096), not_ours);
    assert_eq!(trouble(streamed(b"nonsense"), 4096), not_ours);
    assert_eq!(trouble(streamed(Captured::named("srv").answer), 4096), not_ours);
    let again = Some(DnsTrouble::Answer(AnswerError::Truncated));
    assert_eq!(trouble(streamed(&truncated()), 4096), again);
}

#[test]
fn datagrams_that_do_not_go_are_offered_again() {
    let case = Captured::named("srv");
    for refusal in [Sending::Blocks, Sending::Fails] {
        let mut stack = stack(Style::Std);
        stack.udp.sending.extend([refusal, refusal, Sending::Goes]);
        stack.udp.arrives(250, resolver(1), case.answer);
        let end = drive(&mut stack, case, &[resolver(1)]);
        assert_eq!((end.progress, end.at), (DnsProgress::Answered, 250));
        assert_eq!(asked(&stack), [(200, resolver(1))]);

        stack.udp.sending.extend([refusal; 1000]);
        stack.udp.now = 0;
        let end = drive(&mut stack, case, &[resolver(1)]);
        let waited = Duration::from_secs(4);
        let failure = DnsFailure::NoAnswer { sent: 0, ignored: 0, waited, trouble: None };
        assert_eq!((end.progress, end.at), (DnsProgress::Failed(failure), 4_000));
    }
}

#[test]
fn a_stack_that_has_nothing_to_give_ends_it() {
    let case = Captured::named("srv");
    let mut stack = stack(Style::Std);
    stack.udp.has_socket = false;
    let end = drive(&mut stack, case, &[resolver(1)]);
    assert_eq!((end.progress, end.at), (DnsProgress::Failed(DnsFailure::NoSocket), 0));
    stack.udp.has_socket = true;
    let end = drive(&mut stack, case, &[]);
    assert_eq!((end.progress, end.at), (DnsProgress::Failed(DnsFailure::NoResolver), 0));
    stack.udp.connects = false;
    let end = drive(&mut stack, case, &[resolver(1), resolver(2)]);
    assert_eq!((end.trouble(), end.at), (Some(DnsTrouble::NotConnected), 0));
}

#[test]
fn a_small_buffer_loses_long_answers_only() {
    for style in STYLES {
        let case = Captured::named("srv");
        let mut stack = stack(style);
        stack.udp.arrives(10, resolver(1), case.answer);
        let mut buffer = vec![0; case.answer.len() - 1];
        let end = drive_with(&mut stack, case, &[resolver(1)], &mut buffer, None);
        assert!(matches!(end.progress, DnsProgress::Failed(DnsFailure::NoAnswer { .. })));
        let mut buffer = vec![0; case.answer.len()];
        stack.udp.now = 0;
        stack.udp.arrives(10, resolver(1), case.answer);
        let end = drive_with(&mut stack, case, &[resolver(1)], &mut buffer, None);
        assert_eq!(end.progress, DnsProgress::Answered);
        let end = drive_with(&mut stack, case, &[resolver(1)], &mut [], None);
        assert!(matches!(end.progress, DnsProgress::Failed(DnsFailure::NoAnswer { .. })));
    }
}

#[test]
fn whoever_gives_up_closes_what_is_open() {
    let case = srv_many();
    for polls in 0..8 {
        let mut stack = stack(Style::Std);
        stack.udp.arrives(0, resolver(1), &truncated());
        stack.tcp.connect = Acts::list([Act::Block], Act::Move(0));
        stack.tcp.receive = Acts::always(Act::Block);
        let (resolvers, mut buffer) = ([resolver(1)], [0; 64]);
        let mut exchange = DnsExchange::new(&resolvers, case.query(), &mut buffer);
        for _ in 0..polls {
            let pending = exchange.poll(&mut stack, Instant::ZERO);
            assert!(matches!(pending, DnsProgress::Pending { .. }));
        }
        assert!(format!("{exchange:?}").contains("Srv"));
        exchange.close(&mut stack);
        stack.assert_all_closed();
        let end = exchange.poll(&mut stack, Instant::ZERO);
        assert_eq!(end, if polls == 0 { end } else { DnsProgress::Failed(DnsFailure::Abandoned) });
        exchange.close(&mut stack);
        stack.assert_all_closed();
    }
}

/// A clock that jumps to the next deadline, and says stop after so many turns.
struct Turns {
    now: u64,
    left: usize,
}

impl Platform<ScriptedBoth> for Turns {
    fn now(&mut self) -> Instant {
        Instant::from_millis(self.now)
    }

    fn idle(&mut self, stack: &mut ScriptedBoth, until: Instant) {
        self.left -= 1;
        self.now = until.as_millis().min(stack.udp.next_arrival().unwrap_or(u64::MAX));
        stack.udp.now = self.now;
    }

    fn is_stopped(&mut self) -> bool {
        self.left == 0
    }
}

#[test]
fn a_program_that_may_block_looks_up() {
    let case = Captured::named("srv");
    let (resolvers, mut buffer) = ([resolver(1)], [0; 512]);
    for (left, expected) in [(2, Ok(case.answer)), (1, Err(DnsFailure::Abandoned))] {
        let mut stack = stack(Style::Std);
        stack.udp.arrives(10, resolver(1), case.answer);
        let mut exchange = DnsExchange::new(&resolvers, case.query(), &mut buffer);
        let answer = look_up(&mut exchange, &mut stack, &mut Turns { now: 0, left });
        assert_eq!(answer, expected);
        stack.assert_all_closed();
    }
}

#[test]
fn an_exchange_takes_little_memory() {
    // Less on a microcontroller, where an address takes half as much.
    let size = size_of::<DnsExchange<'_, ScriptedBoth>>();
    assert!(size <= 416, "{size}");
}
