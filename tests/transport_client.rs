//! Client exchanges over stacks that misbehave in every way a script can say, in virtual time.
#![cfg(feature = "nal")]

#[path = "common/scripted_stack/mod.rs"]
mod scripted_stack;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use headcount::time::Instant;
use headcount::transport::{Failure, Platform, Progress, TcpExchange, Timeouts, UdpExchange, run};
use headcount::wire::Frame;
use scripted_stack::tcp_client::{Act, Acts, ScriptedTcp};
use scripted_stack::udp::{ScriptedUdp, Sending};
use scripted_stack::{Rng, Style};

const REQUEST: Frame = [0x51; 250];
const ANSWER: Frame = [0xa2; 250];

fn host() -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1), 1688).into()
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Polls from time 0, at each wake-up and at extra times before it; the last answer and its time.
fn drive_tcp(stack: &mut ScriptedTcp, extra: &mut Option<Rng>) -> (Progress, u64) {
    let mut exchange = TcpExchange::new(host(), REQUEST, Timeouts::default());
    let mut now = 0;
    for _ in 0..100_000 {
        match exchange.poll(stack, at(now)) {
            Progress::Pending { wake_at } => {
                assert!(wake_at >= at(now));
                let wait = wake_at.as_millis() - now;
                now += match extra {
                    Some(rng) if wait > 0 => 1 + rng.below(wait),
                    _ => wait,
                };
            }
            end => {
                stack.assert_all_closed();
                let again = exchange.poll(stack, at(now));
                match end {
                    Progress::Failed(_) => assert_eq!(again, end),
                    _ => assert_eq!(again, Progress::Failed(Failure::Answered)),
                }
                exchange.close(stack);
                stack.assert_all_closed();
                return (end, now);
            }
        }
    }
    panic!("the exchange does not end");
}

fn tcp(stack: &mut ScriptedTcp) -> (Progress, u64) {
    drive_tcp(stack, &mut Some(Rng::new(0)))
}

#[test]
fn tcp_goes_through_in_pieces_of_every_size() {
    for size in 1..=250 {
        for block in [Act::Block, Act::Move(0)] {
            let mut stack = ScriptedTcp::willing(&ANSWER);
            let pieces = || Acts::list((0..500).flat_map(|_| [block, Act::Move(size)]), Act::Fail);
            stack.connect = Acts::list([Act::Block, Act::Block], Act::Move(0));
            stack.send = pieces();
            stack.receive = pieces();
            // Only time moves on, so more polls are needed than wake-ups: one a millisecond.
            let mut exchange = TcpExchange::new(host(), REQUEST, Timeouts::default());
            let end = (0..10_000).find_map(|now| match exchange.poll(&mut stack, at(now)) {
                Progress::Pending { .. } => None,
                end => Some(end),
            });
            assert_eq!(end, Some(Progress::Received(ANSWER)), "pieces of {size}");
            assert_eq!(stack.sent, REQUEST);
            stack.assert_all_closed();
        }
    }
}

#[test]
fn tcp_reads_no_byte_beyond_the_frame() {
    let mut stack = ScriptedTcp::willing(&[ANSWER.as_slice(), b"more"].concat());
    assert_eq!(tcp(&mut stack), (Progress::Received(ANSWER), 0));
    assert_eq!(stack.delivered, 250);
}

#[test]
fn tcp_says_after_how_many_bytes_it_broke() {
    for bytes in 0..250 {
        let pieces = (bytes > 0).then_some(Act::Move(bytes));
        let mut stack = ScriptedTcp::willing(&ANSWER);
        stack.send = Acts::list(pieces, Act::Fail);
        let sent = bytes as u8;
        assert_eq!(tcp(&mut stack).0, Progress::Failed(Failure::SendBroken { sent }));

        let mut stack = ScriptedTcp::willing(&ANSWER);
        stack.receive = Acts::list(pieces, Act::Fail);
        let received = bytes as u8;
        assert_eq!(tcp(&mut stack).0, Progress::Failed(Failure::ClosedEarly { received }));
    }
}

#[test]
fn tcp_waits_end_by_the_clock_to_the_millisecond() {
    let limit = Duration::from_secs(10);
    for nothing in [Act::Block, Act::Move(0)] {
        let mut stack = ScriptedTcp::willing(&ANSWER);
        stack.receive = Acts::list([Act::Move(7)], nothing);
        let failure = Failure::AnswerTimeout { sent: 250, received: 7, waited: limit };
        assert_eq!(tcp(&mut stack), (Progress::Failed(failure), 10_000));

        let mut stack = ScriptedTcp::willing(&ANSWER);
        stack.send = Acts::list([Act::Move(9)], nothing);
        let failure = Failure::AnswerTimeout { sent: 9, received: 0, waited: limit };
        assert_eq!(tcp(&mut stack), (Progress::Failed(failure), 10_000));
    }
    let mut stack = ScriptedTcp::willing(&ANSWER);
    stack.connect = Acts::always(Act::Block);
    let failure = Failure::ConnectTimeout { waited: limit };
    assert_eq!(tcp(&mut stack), (Progress::Failed(failure), 10_000));
}

#[test]
fn tcp_reports_a_refusal_and_a_lack_of_sockets_at_once() {
    let mut stack = ScriptedTcp::willing(&ANSWER);
    stack.connect = Acts::always(Act::Fail);
    assert_eq!(tcp(&mut stack), (Progress::Failed(Failure::NotConnected), 0));
    let mut stack = ScriptedTcp::willing(&ANSWER);
    stack.has_socket = false;
    assert_eq!(tcp(&mut stack), (Progress::Failed(Failure::NoSocket), 0));
}

#[test]
fn tcp_forgives_a_connect_that_blocks() {
    let mut stack = ScriptedTcp::willing(&ANSWER);
    let mut exchange = TcpExchange::new(host(), REQUEST, Timeouts::default());
    let wake_at = at(0);
    assert_eq!(exchange.poll(&mut stack, at(0)), Progress::Pending { wake_at });
    // The call itself took two minutes: the answer's 10 s start only now.
    stack.receive = Acts::list([Act::Block], Act::Move(250));
    let wake_at = at(130_000);
    assert_eq!(exchange.poll(&mut stack, at(120_000)), Progress::Pending { wake_at });
    assert_eq!(exchange.poll(&mut stack, at(120_001)), Progress::Received(ANSWER));
}

#[test]
fn tcp_can_be_given_up_at_any_stage() {
    for stage in 0..4 {
        let mut stack = ScriptedTcp::willing(&ANSWER);
        stack.connect = Acts::list([Act::Block], Act::Move(0));
        stack.receive = Acts::always(Act::Block);
        let mut exchange = TcpExchange::new(host(), REQUEST, Timeouts::default());
        for now in 0..stage {
            assert!(matches!(exchange.poll(&mut stack, at(now)), Progress::Pending { .. }));
        }
        exchange.close(&mut stack);
        exchange.close(&mut stack);
        stack.assert_all_closed();
        let end = exchange.poll(&mut stack, at(9));
        assert_eq!(end, Progress::Failed(Failure::Abandoned), "stage {stage}");
    }
}

#[test]
fn any_tcp_script_ends_in_time_with_the_frame_or_the_true_numbers() {
    let mut answered = 0;
    for seed in 0..4_000 {
        let mut rng = Rng::new(seed);
        let mut answer = rng.frame().to_vec();
        answer.extend_from_slice(&REQUEST[..rng.size(20)]);
        let mut stack = ScriptedTcp::willing(&answer);
        let faulty = rng.one_in(2);
        let acts = |rng: &mut Rng| {
            let length = rng.size(30);
            let mut act = |fails: bool| match rng.below(20) {
                0 if fails => Act::Fail,
                0..4 => Act::Block,
                4..7 => Act::Move(0),
                7..14 => Act::Move(1 + rng.size(60)),
                14..17 => Act::Move(usize::MAX),
                _ => Act::Move(1),
            };
            let first = (0..length).map(|_| act(faulty)).collect();
            Acts { first, then: if faulty { act(true) } else { Act::Move(usize::MAX) } }
        };
        stack.connect = acts(&mut rng);
        stack.send = acts(&mut rng);
        stack.receive = acts(&mut rng);
        let (end, now) = drive_tcp(&mut stack, &mut Some(rng));
        assert!(now <= 20_000, "seed {seed}: ended at {now} ms");
        match end {
            Progress::Received(frame) => {
                assert_eq!(stack.sent, REQUEST, "seed {seed}");
                assert_eq!(frame, answer[..250], "seed {seed}");
                answered += 1;
            }
            Progress::Failed(Failure::SendBroken { sent }) => {
                assert_eq!(stack.sent, REQUEST[..sent.into()], "seed {seed}");
            }
            Progress::Failed(Failure::ClosedEarly { received }) => {
                assert_eq!(stack.delivered, usize::from(received), "seed {seed}");
            }
            Progress::Failed(Failure::AnswerTimeout { sent, received, waited }) => {
                let moved = (stack.sent.len(), stack.delivered);
                assert_eq!(moved, (sent.into(), received.into()), "seed {seed}");
                assert_eq!(waited, Duration::from_secs(10), "seed {seed}");
            }
            Progress::Failed(Failure::NotConnected | Failure::ConnectTimeout { .. }) => {
                assert!(stack.sent.is_empty(), "seed {seed}");
            }
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    assert!((1_000..4_000).contains(&answered), "{answered} answers");
}

/// Polls a UDP exchange as [`drive_tcp`] does, and at arrivals; only `believed` ends it.
fn drive_udp(
    stack: &mut ScriptedUdp,
    believed: &Frame,
    extra: &mut Option<Rng>,
) -> (Progress, u64) {
    let mut exchange = UdpExchange::new(host(), REQUEST);
    for _ in 0..100_000 {
        let now = stack.now;
        match exchange.poll(stack, at(now)) {
            Progress::Pending { wake_at } => {
                assert!(wake_at >= at(now));
                let mut next = wake_at.as_millis();
                if let Some(arrival) = stack.next_arrival().filter(|arrival| *arrival > now) {
                    next = next.min(arrival);
                }
                stack.now = match extra {
                    Some(rng) if next > now => now + 1 + rng.below(next - now),
                    _ => next,
                };
            }
            Progress::Received(frame) if frame != *believed => {}
            end => {
                exchange.close(stack);
                stack.assert_all_closed();
                return (end, now);
            }
        }
    }
    panic!("the exchange does not end");
}

#[test]
fn udp_sends_at_0_1_3_7_and_15_seconds_and_gives_up_at_23() {
    for style in [Style::Std, Style::Smoltcp] {
        for extra in [None, Some(Rng::new(1))] {
            let mut stack = ScriptedUdp::new(style);
            let waited = Duration::from_secs(23);
            let failure = Failure::NoAnswer { sent: 5, rejected: 0, ignored: 0, waited };
            let end = drive_udp(&mut stack, &ANSWER, &mut extra.clone());
            assert_eq!(end, (Progress::Failed(failure), 23_000));
            let times: Vec<u64> = stack.outbox.iter().map(|datagram| datagram.at).collect();
            assert_eq!(times, [0, 1_000, 3_000, 7_000, 15_000], "{style:?} {extra:?}");
            assert!(stack.outbox.iter().all(|sent| sent.bytes == REQUEST && sent.peer == host()));
        }
    }
}

#[test]
fn udp_does_not_make_up_for_calls_that_came_late() {
    let mut stack = ScriptedUdp::new(Style::Std);
    let mut exchange = UdpExchange::new(host(), REQUEST);
    for (now, wake_at, sent) in
        [(0, 1_000, 1), (5_000, 7_000, 2), (5_001, 7_000, 2), (16_000, 23_000, 3)]
    {
        stack.now = now;
        let wake_at = at(wake_at);
        assert_eq!(exchange.poll(&mut stack, at(now)), Progress::Pending { wake_at });
        assert_eq!(stack.outbox.len(), sent);
    }
    let waited = Duration::from_secs(99);
    let failure = Failure::NoAnswer { sent: 3, rejected: 0, ignored: 0, waited };
    assert_eq!(exchange.poll(&mut stack, at(99_000)), Progress::Failed(failure));
    stack.assert_all_closed();
}

#[test]
fn udp_offers_again_what_the_stack_did_not_take() {
    let mut stack = ScriptedUdp::new(Style::Std);
    stack.sending = [Sending::Blocks, Sending::Fails, Sending::Goes].into();
    let end = drive_udp(&mut stack, &ANSWER, &mut None);
    let times: Vec<u64> = stack.outbox.iter().map(|datagram| datagram.at).collect();
    assert_eq!(times, [200, 1_000, 3_000, 7_000, 15_000]);
    assert_eq!(end.1, 23_000);

    let mut stack = ScriptedUdp::new(Style::Smoltcp);
    stack.sending = [Sending::Fails; 1_000].into();
    let waited = Duration::from_secs(23);
    let failure = Failure::NoAnswer { sent: 0, rejected: 0, ignored: 0, waited };
    assert_eq!(drive_udp(&mut stack, &ANSWER, &mut None), (Progress::Failed(failure), 23_000));
}

#[test]
fn udp_keeps_listening_after_a_frame_that_is_not_believed() {
    for style in [Style::Std, Style::Smoltcp] {
        let mut stack = ScriptedUdp::new(style);
        for at in [10, 20, 20, 1_500] {
            stack.arrives(at, host(), &[0xee; 250]);
        }
        stack.arrives(1_600, host(), &ANSWER);
        assert_eq!(drive_udp(&mut stack, &ANSWER, &mut None), (Progress::Received(ANSWER), 1_600));
        assert_eq!(stack.outbox.len(), 2);
    }
}

#[test]
fn udp_ends_even_while_frames_keep_coming() {
    let mut stack = ScriptedUdp::new(Style::Std);
    for n in 0..20_000 {
        stack.arrives(n * 2, host(), &[0xee; 250]);
        stack.arrives(n * 2, host(), &[0xee; 251]);
    }
    let (end, now) = drive_udp(&mut stack, &ANSWER, &mut None);
    assert_eq!(now, 23_000);
    let Progress::Failed(Failure::NoAnswer { sent: 5, rejected, ignored, .. }) = end else {
        panic!("{end:?}");
    };
    assert!(rejected > 10_000 && ignored > 10_000, "{rejected} {ignored}");
}

#[test]
fn udp_ignores_other_lengths_and_other_senders() {
    let stranger = (Ipv4Addr::new(192, 0, 2, 2), 1688).into();
    let other_port = (Ipv4Addr::new(192, 0, 2, 1), 1689).into();
    for style in [Style::Std, Style::Smoltcp] {
        let mut stack = ScriptedUdp::new(style);
        for length in [0, 1, 249, 251, 1_500] {
            stack.arrives(5, host(), &ANSWER.repeat(6)[..length]);
        }
        stack.arrives(5, stranger, &ANSWER);
        stack.arrives(5, other_port, &ANSWER);
        let (end, now) = drive_udp(&mut stack, &ANSWER, &mut None);
        assert_eq!(now, 23_000);
        // Of the first five, one is empty, and smoltcp drops by itself what is far too long.
        let ignored = if style == Style::Std { 6 } else { 5 };
        let waited = Duration::from_secs(23);
        let failure = Failure::NoAnswer { sent: 5, rejected: 0, ignored, waited };
        assert_eq!(end, Progress::Failed(failure));
    }
}

#[test]
fn udp_reads_on_at_once_behind_what_it_ignores() {
    for style in [Style::Std, Style::Smoltcp] {
        let mut stack = ScriptedUdp::new(style);
        for _ in 0..20 {
            stack.arrives(5, host(), b"junk");
        }
        stack.arrives(5, host(), &ANSWER);
        assert_eq!(drive_udp(&mut stack, &ANSWER, &mut None), (Progress::Received(ANSWER), 5));
    }
}

#[test]
fn udp_retransmits_through_a_flood_of_frames_that_are_not_believed() {
    let mut stack = ScriptedUdp::new(Style::Std);
    let mut exchange = UdpExchange::new(host(), REQUEST);
    // One frame from the host's own address is there at every look.
    for now in (0..23_000).step_by(100) {
        stack.arrives(now, host(), &[0xee; 250]);
        stack.now = now;
        assert!(matches!(exchange.poll(&mut stack, at(now)), Progress::Received(_)), "{now}");
    }
    let sent: Vec<_> = stack.outbox.iter().map(|datagram| datagram.at).collect();
    // The first frame of all could have been the answer; the second no longer.
    assert_eq!(sent, [100, 1_000, 3_000, 7_000, 15_000]);
}

#[test]
fn udp_knows_an_ipv4_host_by_its_ipv6_form() {
    let mut stack = ScriptedUdp::new(Style::Std);
    let mapped = Ipv4Addr::new(192, 0, 2, 1).to_ipv6_mapped();
    stack.arrives(5, (mapped, 1688).into(), &ANSWER);
    assert_eq!(drive_udp(&mut stack, &ANSWER, &mut None), (Progress::Received(ANSWER), 5));
}

#[test]
fn udp_hands_over_an_answer_that_a_late_call_finds() {
    let mut stack = ScriptedUdp::new(Style::Std);
    let mut exchange = UdpExchange::new(host(), REQUEST);
    assert!(matches!(exchange.poll(&mut stack, at(0)), Progress::Pending { .. }));
    stack.arrives(22_999, host(), &ANSWER);
    stack.now = 60_000;
    assert_eq!(exchange.poll(&mut stack, at(60_000)), Progress::Received(ANSWER));
    stack.assert_all_closed();
    assert!(matches!(exchange.poll(&mut stack, at(60_000)), Progress::Failed(_)));
}

#[test]
fn udp_closes_its_socket_on_every_path() {
    let mut stack = ScriptedUdp::new(Style::Std);
    stack.has_socket = false;
    let end = drive_udp(&mut stack, &ANSWER, &mut None);
    assert_eq!(end, (Progress::Failed(Failure::NoSocket), 0));
    let mut stack = ScriptedUdp::new(Style::Std);
    stack.connects = false;
    let end = drive_udp(&mut stack, &ANSWER, &mut None);
    assert_eq!(end, (Progress::Failed(Failure::NotConnected), 0));
    let mut stack = ScriptedUdp::new(Style::Std);
    let mut exchange = UdpExchange::new(host(), REQUEST);
    assert!(matches!(exchange.poll(&mut stack, at(0)), Progress::Pending { .. }));
    exchange.close(&mut stack);
    exchange.close(&mut stack);
    stack.assert_all_closed();
    assert_eq!(exchange.poll(&mut stack, at(1)), Progress::Failed(Failure::Abandoned));
    let mut exchange = UdpExchange::new(host(), REQUEST);
    exchange.close(&mut stack);
    assert_eq!(exchange.poll(&mut stack, at(0)), Progress::Failed(Failure::Abandoned));
}

#[test]
fn any_udp_network_ends_in_time_with_the_answer_if_it_came() {
    let mut answered = 0;
    for seed in 0..2_000 {
        let mut rng = Rng::new(seed);
        let style = rng.pick(&[Style::Std, Style::Smoltcp]);
        let mut stack = ScriptedUdp::new(style);
        let sending = rng.size(12);
        let how = [Sending::Goes, Sending::Goes, Sending::Blocks, Sending::Fails];
        stack.sending = (0..sending).map(|_| rng.pick(&how)).collect();
        for _ in 0..rng.size(40) {
            let (when, frame, cut) = (rng.below(25_000), rng.frame(), rng.size(251));
            match rng.below(4) {
                0 => stack.arrives(when, host(), &frame[..cut.min(250)]),
                1 => stack.arrives(when, host(), &frame.repeat(3)),
                2 => stack.arrives(when, (Ipv4Addr::LOCALHOST, 9).into(), &ANSWER),
                _ => stack.arrives(when, host(), &frame),
            }
        }
        // Lost, once, or several times.
        let copies: Vec<u64> = (0..rng.below(3)).map(|_| rng.below(25_000)).collect();
        for when in &copies {
            stack.arrives(*when, host(), &ANSWER);
        }
        let first = copies.iter().min().copied();
        let (end, now) = drive_udp(&mut stack, &ANSWER, &mut Some(rng));
        assert!(now <= 23_000, "seed {seed}: ended at {now} ms");
        match end {
            Progress::Received(_) => {
                assert!(first.is_some_and(|first| first <= now), "seed {seed}");
                answered += 1;
            }
            end => {
                assert!(matches!(end, Progress::Failed(Failure::NoAnswer { .. })), "seed {seed}");
                assert!(first.is_none_or(|first| first >= now), "seed {seed}: {first:?}");
            }
        }
        for (sent, due) in stack.outbox.iter().zip([0, 1_000, 3_000, 7_000, 15_000]) {
            assert!(sent.at >= due && sent.bytes == REQUEST, "seed {seed}");
        }
        assert!(stack.outbox.len() <= 5);
    }
    assert!((500..2_000).contains(&answered), "{answered} answers");
}

/// A platform in virtual time, which stops when told to.
struct Virtual {
    now: u64,
    stops_at: u64,
}

impl Platform<ScriptedUdp> for Virtual {
    fn now(&mut self) -> Instant {
        at(self.now)
    }

    fn idle(&mut self, stack: &mut ScriptedUdp, until: Instant) {
        let arrival = stack.next_arrival().filter(|arrival| *arrival > self.now);
        self.now = until.as_millis().min(arrival.unwrap_or(u64::MAX)).min(self.stops_at);
        stack.now = self.now;
    }

    fn is_stopped(&mut self) -> bool {
        self.now >= self.stops_at
    }
}

#[test]
fn the_blocking_loop_judges_and_stops() {
    let mut stack = ScriptedUdp::new(Style::Smoltcp);
    stack.arrives(300, host(), &[0xee; 250]);
    stack.arrives(400, host(), &ANSWER);
    let mut platform = Virtual { now: 0, stops_at: u64::MAX };
    let exchange = UdpExchange::new(host(), REQUEST);
    let believed =
        run(exchange, &mut stack, &mut platform, |now, frame| (*frame == ANSWER).then_some(now));
    assert_eq!(believed, Ok(at(400)));
    stack.assert_all_closed();

    let mut platform = Virtual { now: 500, stops_at: 5_000 };
    let exchange = UdpExchange::new(host(), REQUEST);
    let end = run(exchange, &mut stack, &mut platform, |_, _| Some(()));
    assert_eq!(end, Err(Failure::Abandoned));
    stack.assert_all_closed();
}

#[test]
fn failures_say_the_cause_first() {
    let waited = Duration::from_millis(10_000);
    for (failure, text) in [
        (Failure::ConnectTimeout { waited }, "no connection within 10s"),
        (Failure::SendBroken { sent: 7 }, "connection broken after 7 of 250 bytes sent"),
        (Failure::ClosedEarly { received: 0 }, "connection closed after 0 of 250 bytes received"),
        (
            Failure::AnswerTimeout { sent: 250, received: 3, waited },
            "no whole answer within 10s: 250 bytes sent, 3 of 250 received",
        ),
        (
            Failure::NoAnswer { sent: 0, rejected: 0, ignored: 0, waited },
            "no datagram could be sent within 10s",
        ),
        (
            Failure::NoAnswer { sent: 5, rejected: 1, ignored: 2, waited },
            "no answer to 5 datagrams within 10s: 1 frames rejected, 2 other datagrams ignored",
        ),
    ] {
        assert_eq!(failure.to_string(), text);
    }
}
