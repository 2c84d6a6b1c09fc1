//! Asynchronous exchanges over stacks that misbehave in every way a script can say, in virtual time.
#![cfg(feature = "nal-async")]

#[path = "common/virtual_time/mod.rs"]
mod virtual_time;

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use headcount::transport::asynchronous::{
    ConnectedUdpExchange, Exchange, TcpExchange, UdpExchange,
};
use headcount::transport::{Failure, Timeouts};
use headcount::wire::Frame;
use virtual_time::World;
use virtual_time::tcp::{Act, Acts, NEVER, Script, ScriptedTcp, Then, fails, moves};
use virtual_time::udp::{ScriptedUdp, Sending};

const REQUEST: Frame = [0x51; 250];
const ANSWER: Frame = [0xa2; 250];
const FORGERY: Frame = [0xee; 250];
const LIMIT: Duration = Duration::from_secs(10);

fn host() -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, 1), 1688).into()
}

/// Believes the answer alone.
fn judge(frame: &Frame) -> Option<Frame> {
    (*frame == ANSWER).then_some(ANSWER)
}

fn willing(world: &World, change: impl FnOnce(&mut Script)) -> ScriptedTcp<'_> {
    ScriptedTcp::willing(world, &ANSWER).with(change)
}

/// The end of an exchange, and its time.
fn tcp(stack: &ScriptedTcp<'_>) -> (Result<Frame, Failure>, u64) {
    let exchange = TcpExchange::new(stack, host(), Timeouts::default());
    let end = stack.world.run(exchange.run(stack.world, &REQUEST, judge));
    assert_eq!((stack.world.open.get(), stack.world.opened.get()), (0, 1), "open, opened");
    (end, stack.world.millis())
}

fn udp(stack: &ScriptedUdp<'_>) -> (Result<Frame, Failure>, u64) {
    let exchange = UdpExchange::new(&stack, host());
    let end = stack.world.run(exchange.run(stack.world, &REQUEST, judge));
    assert_eq!((stack.world.open.get(), stack.world.opened.get()), (0, 1), "open, opened");
    (end, stack.world.millis())
}

fn no_answer(sent: u8, rejected: u16, ignored: u16) -> Result<Frame, Failure> {
    let waited = Duration::from_secs(23);
    Err(Failure::NoAnswer { sent, rejected, ignored, waited })
}

#[test]
fn tcp_goes_through_in_pieces_of_every_size() {
    for size in 1..=250 {
        let world = World::default();
        let stack = willing(&world, |script| {
            script.connect = Acts::always(moves(7, 0));
            script.write = Acts::always(moves(3, size));
            script.read = Acts::always(moves(3, size));
        });
        let pieces = 250_u64.div_ceil(size as u64);
        assert_eq!(tcp(&stack), (Ok(ANSWER), 7 + 2 * 3 * pieces), "pieces of {size}");
        let script = stack.script.borrow();
        assert_eq!(script.sent, REQUEST);
        assert_eq!(script.flushed, 250);
    }
}

#[test]
fn tcp_reads_no_byte_beyond_the_frame() {
    let world = World::default();
    let stack = willing(&world, |script| script.answer.extend_from_slice(b"more"));
    assert_eq!(tcp(&stack), (Ok(ANSWER), 0));
    assert_eq!(stack.script.borrow().delivered, 250);
}

#[test]
fn tcp_says_at_once_after_how_many_bytes_it_broke() {
    for bytes in 0..250_u8 {
        let moved = (bytes > 0).then_some(moves(2, bytes.into()));
        // A reset, and a stack that takes no more; then the same of the answer, and its end.
        for broken in [fails(1), moves(1, 0)] {
            let world = World::default();
            let stack = willing(&world, |script| script.write = Acts::list(moved, broken));
            let time = 1 + 2 * u64::from(bytes > 0);
            assert_eq!(tcp(&stack), (Err(Failure::SendBroken { sent: bytes }), time));

            let world = World::default();
            let stack = willing(&world, |script| script.read = Acts::list(moved, broken));
            assert_eq!(tcp(&stack), (Err(Failure::ClosedEarly { received: bytes }), time));
        }
        let world = World::default();
        let stack = willing(&world, |script| script.answer.truncate(bytes.into()));
        assert_eq!(tcp(&stack), (Err(Failure::ClosedEarly { received: bytes }), 0));
    }
}

type Change = fn(&mut Script);

#[test]
fn tcp_waits_end_by_the_clock_to_the_millisecond() {
    let cases: [(Change, Failure); 5] = [
        (|script| script.connect.then = NEVER, Failure::ConnectTimeout { waited: LIMIT }),
        (
            |script| script.write = Acts::list([moves(1, 9)], NEVER),
            Failure::AnswerTimeout { sent: 9, received: 0, waited: LIMIT },
        ),
        (
            |script| script.flush.then = NEVER,
            Failure::AnswerTimeout { sent: 250, received: 0, waited: LIMIT },
        ),
        (
            |script| script.read = Acts::list([moves(1, 7)], NEVER),
            Failure::AnswerTimeout { sent: 250, received: 7, waited: LIMIT },
        ),
        // One byte every 50 ms: the limit is for the whole answer, not for a piece of it.
        (
            |script| script.read = Acts::always(moves(50, 1)),
            Failure::AnswerTimeout { sent: 250, received: 200, waited: LIMIT },
        ),
    ];
    for (change, failure) in cases {
        for early in [false, true] {
            let world = World::default();
            world.early.set(early);
            assert_eq!(tcp(&willing(&world, change)), (Err(failure), 10_000));
        }
    }
}

#[test]
fn tcp_takes_the_callers_timeouts_and_counts_them_apart() {
    let world = World::default();
    let stack = willing(&world, |script| {
        script.connect.then = moves(1_999, 0);
        script.read.then = NEVER;
    });
    let waited = Duration::from_millis(300);
    let timeouts = Timeouts { connect: Duration::from_secs(2), answer: waited };
    let exchange = TcpExchange::new(&stack, host(), timeouts);
    let end = world.run(exchange.run(&world, &REQUEST, judge));
    assert_eq!(end, Err(Failure::AnswerTimeout { sent: 250, received: 0, waited }));
    assert_eq!((world.millis(), world.open.get()), (2_299, 0));
}

#[test]
fn tcp_takes_an_answer_that_came_slowly_but_in_time() {
    let world = World::default();
    let stack = willing(&world, |script| script.read = Acts::always(moves(39, 1)));
    assert_eq!(tcp(&stack), (Ok(ANSWER), 9_750));
}

#[test]
fn tcp_reports_a_refusal_at_once() {
    let world = World::default();
    let stack = willing(&world, |script| script.connect.then = fails(3));
    assert_eq!(tcp(&stack), (Err(Failure::NotConnected), 3));
}

#[test]
fn tcp_reads_the_answer_of_a_host_that_closed_before_the_flush() {
    let world = World::default();
    let stack = willing(&world, |script| script.flush.then = fails(1));
    assert_eq!(tcp(&stack), (Ok(ANSWER), 1));
}

#[test]
fn tcp_has_no_second_answer_and_asks_about_the_first_with_the_connection_closed() {
    let world = World::default();
    let stack = ScriptedTcp::willing(&world, &FORGERY);
    let exchange = TcpExchange::new(&stack, host(), Timeouts::default());
    let end = world.run(exchange.run(&world, &REQUEST, |frame| {
        assert_eq!((*frame, world.open.get()), (FORGERY, 0));
        None::<()>
    }));
    assert_eq!(end, Err(Failure::Answered));
}

#[test]
fn udp_sends_at_0_1_3_7_and_15_seconds_and_gives_up_at_23() {
    for early in [false, true] {
        let world = World::default();
        world.early.set(early);
        let stack = ScriptedUdp::new(&world);
        assert_eq!(udp(&stack), (no_answer(5, 0, 0), 23_000));
        assert_eq!(stack.sent_at(), [0, 1_000, 3_000, 7_000, 15_000]);
        assert!(stack.script.borrow().outbox.iter().all(|(_, bytes)| *bytes == REQUEST));
        assert!(world.polls.get() < 20, "{} polls", world.polls.get());
    }
}

#[test]
fn udp_takes_an_answer_after_the_third_retransmission() {
    let world = World::default();
    let stack = ScriptedUdp::new(&world);
    stack.arrives(7_200, &ANSWER);
    assert_eq!(udp(&stack), (Ok(ANSWER), 7_200));
    assert_eq!(stack.sent_at(), [0, 1_000, 3_000, 7_000]);
}

#[test]
fn udp_goes_on_after_what_is_not_believed() {
    let world = World::default();
    let stack = ScriptedUdp::new(&world);
    let wrong: [&[u8]; 6] =
        [&FORGERY, &ANSWER[..249], &[], &[0xa2; 251], &[0xa2; 300], &[0xa2; 2_000]];
    for (time, bytes) in wrong.iter().enumerate() {
        stack.arrives(100 * time as u64, bytes);
    }
    stack.arrives(3_500, &FORGERY);
    assert_eq!(udp(&stack), (no_answer(5, 2, 5), 23_000));

    // What is believed ends it, even in the last millisecond and behind a crowd.
    let world = World::default();
    let stack = ScriptedUdp::new(&world);
    for _ in 0..5 {
        stack.arrives(22_999, &FORGERY);
    }
    stack.arrives(22_999, &ANSWER);
    assert_eq!(udp(&stack), (Ok(ANSWER), 22_999));
}

#[test]
fn udp_offers_again_what_the_stack_did_not_take() {
    let world = World::default();
    let stack = ScriptedUdp::new(&world);
    stack.script.borrow_mut().sending = [Sending::Fails, Sending::Fails, Sending::Goes].into();
    assert_eq!(udp(&stack), (no_answer(5, 0, 0), 23_000));
    assert_eq!(stack.sent_at(), [200, 1_000, 3_000, 7_000, 15_000]);
}

#[test]
fn udp_says_when_the_host_was_never_asked() {
    let world = World::default();
    let stack = ScriptedUdp::new(&world);
    stack.script.borrow_mut().sending = [Sending::Fails; 1_000].into();
    assert_eq!(udp(&stack), (no_answer(0, 0, 0), 23_000));

    let world = World::default();
    let stack = ScriptedUdp { connect: NEVER, ..ScriptedUdp::new(&world) };
    assert_eq!(udp(&stack), (no_answer(0, 0, 0), 23_000));

    let world = World::default();
    let stack = ScriptedUdp { connect: fails(4), ..ScriptedUdp::new(&world) };
    assert_eq!(udp(&stack), (Err(Failure::NotConnected), 4));
}

#[test]
fn udp_hears_the_answer_though_the_next_send_hangs() {
    let world = World::default();
    let stack = ScriptedUdp::new(&world);
    stack.script.borrow_mut().sending = [Sending::Goes].into();
    stack.script.borrow_mut().sending.extend([Sending::Hangs; 10]);
    stack.arrives(1_500, &ANSWER);
    assert_eq!(udp(&stack), (Ok(ANSWER), 3_000));
    assert_eq!(stack.sent_at(), [0]);
}

#[test]
fn udp_takes_no_error_for_an_end() {
    let world = World::default();
    let stack = ScriptedUdp::new(&world);
    for time in 0..50 {
        stack.fails(time);
    }
    stack.arrives(60, &ANSWER);
    let (end, time) = udp(&stack);
    assert_eq!(end, Ok(ANSWER));
    assert!(time < 200, "{time} ms");
}

#[test]
fn udp_leaves_the_processor_to_others_in_a_flood() {
    for bytes in [Some(FORGERY.to_vec()), Some(vec![0; 9]), None] {
        let world = World::default();
        let stack = ScriptedUdp::new(&world);
        stack.script.borrow_mut().inbox.push_back((0, bytes));
        stack.script.borrow_mut().endless = true;
        let (end, time) = udp(&stack);
        assert!(matches!(end, Err(Failure::NoAnswer { sent: 5, .. })), "{end:?}");
        assert_eq!(time, 23_000);
        assert_eq!(stack.sent_at(), [0, 1_000, 3_000, 7_000, 15_000]);
        // Eight in a row, then a breath of 10 ms.
        let received = stack.script.borrow().received;
        assert!((8 * 2_000..=8 * 2_310).contains(&received), "{received} datagrams");
    }
}

#[test]
fn udp_looks_at_what_has_arrived_though_its_turn_comes_late() {
    let world = World::default();
    let stack = ScriptedUdp::new(&world);
    stack.arrives(20_000, &FORGERY);
    stack.arrives(20_000, &ANSWER);
    let network = &stack;
    let exchange = UdpExchange::new(&network, host());
    let late = async {
        let mut exchange = std::pin::pin!(exchange.run(&world, &REQUEST, judge));
        assert!(poll_once(&mut exchange).await.is_none());
        world.jump(30_000);
        exchange.await
    };
    assert_eq!(world.run(late), Ok(ANSWER));
    assert_eq!(stack.sent_at(), [0]);
}

/// Polls once.
async fn poll_once<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    std::future::poll_fn(|context| {
        std::task::Poll::Ready(match std::pin::Pin::new(&mut *future).poll(context) {
            std::task::Poll::Ready(value) => Some(value),
            std::task::Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn a_socket_that_is_there_already_serves_one_exchange_after_another() {
    let world = World::default();
    let stack = ScriptedUdp::new(&world);
    let mut socket = stack.socket();
    stack.arrives(10, &ANSWER);
    let end = world.run(ConnectedUdpExchange::new(&mut socket).run(&world, &REQUEST, judge));
    assert_eq!(end, Ok(ANSWER));
    let end = world.run(ConnectedUdpExchange::new(&mut socket).run(&world, &REQUEST, judge));
    assert_eq!(end, no_answer(5, 0, 0));
    assert_eq!(stack.sent_at(), [0, 10, 1_010, 3_010, 7_010, 15_010]);
}

#[test]
fn dropping_an_exchange_at_any_time_leaves_nothing_open() {
    for limit in 0..100 {
        let world = World::default();
        let stack = willing(&world, |script| {
            script.connect.then = moves(20, 0);
            script.write.then = moves(10, 100);
            script.flush.then = moves(10, 0);
            script.read.then = moves(10, 100);
        });
        let exchange = TcpExchange::new(&stack, host(), Timeouts::default());
        let end = world.run_until(limit, exchange.run(&world, &REQUEST, judge));
        assert_eq!(end, (limit >= 90).then_some(Ok(ANSWER)), "dropped at {limit} ms");
        assert_eq!((world.open.get(), world.opened.get()), (0, 1));
    }
    for limit in (0..24_000).step_by(250) {
        let world = World::default();
        let stack = ScriptedUdp { connect: moves(600, 0), ..ScriptedUdp::new(&world) };
        stack.script.borrow_mut().sending = [Sending::Hangs, Sending::Fails].into();
        let network = &stack;
        let exchange = UdpExchange::new(&network, host());
        let end = world.run_until(limit, exchange.run(&world, &REQUEST, judge));
        assert_eq!(end.is_some(), limit >= 23_000, "dropped at {limit} ms");
        assert_eq!((world.open.get(), world.opened.get()), (0, 1));
    }
}

#[test]
fn any_tcp_script_ends_in_time_with_the_frame_or_the_true_numbers() {
    use rand::rngs::StdRng;
    use rand::{RngExt, SeedableRng};

    let mut answered = 0;
    for seed in 0..2_000 {
        let mut rng = StdRng::seed_from_u64(seed);
        let faulty = rng.random_bool(0.5);
        let mut acts = || {
            let length = rng.random_range(0..20);
            let mut act = || Act {
                after: (!(faulty && rng.random_ratio(1, 40))).then(|| rng.random_range(0..400)),
                then: match rng.random_range(0..20) {
                    0 if faulty => Then::Fail,
                    1 if faulty => Then::Move(0),
                    2..10 => Then::Move(1),
                    10..18 => Then::Move(rng.random_range(1..80)),
                    _ => Then::Move(usize::MAX),
                },
            };
            let first: Vec<_> = (0..length).map(|_| act()).collect();
            Acts::list(first, if faulty { act() } else { moves(0, usize::MAX) })
        };
        let world = World::default();
        let stack = willing(&world, |script| {
            (script.connect, script.write) = (acts(), acts());
            (script.flush, script.read) = (acts(), acts());
        });
        let (end, time) = tcp(&stack);
        assert!(time <= 20_000, "seed {seed}: ended at {time} ms");
        let script = stack.script.borrow();
        let moved = (script.sent.len(), script.delivered);
        match end {
            Ok(frame) => {
                assert_eq!((frame, moved), (ANSWER, (250, 250)), "seed {seed}");
                answered += 1;
            }
            Err(Failure::SendBroken { sent }) => assert_eq!(moved, (sent.into(), 0), "{seed}"),
            Err(Failure::ClosedEarly { received }) => {
                assert_eq!(moved, (250, received.into()), "seed {seed}");
            }
            Err(Failure::AnswerTimeout { sent, received, waited }) => {
                assert_eq!(moved, (sent.into(), received.into()), "seed {seed}");
                assert_eq!(waited, LIMIT, "seed {seed}");
            }
            Err(Failure::NotConnected | Failure::ConnectTimeout { .. }) => {
                assert_eq!(moved, (0, 0), "seed {seed}");
            }
            Err(other) => panic!("seed {seed}: {other:?}"),
        }
    }
    assert!((500..1_900).contains(&answered), "{answered} answers");
}
