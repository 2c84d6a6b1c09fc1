//! A host's two servers under peers who are slow, broken or hostile, in virtual time.
#![cfg(feature = "nal")]

#[path = "common/scripted_stack/mod.rs"]
mod scripted_stack;

use std::net::{Ipv4Addr, SocketAddr};

use headcount::time::Instant;
use headcount::transport::{OpenError, Served, TcpServer, UdpServer};
use headcount::wire::Frame;
use scripted_stack::tcp_server::{Peer, ScriptedServer};
use scripted_stack::udp::{ScriptedUdp, Sending};
use scripted_stack::{Rng, Style};

/// A frame that names its peer and its place in the peer's series.
fn question(peer: usize, number: usize) -> Frame {
    let mut frame = [0x51; 250];
    frame[..2].copy_from_slice(&[peer as u8, number as u8]);
    frame[249] = (peer * 31 + number) as u8;
    frame
}

/// The answer to a frame; none to one that starts with 0xff.
fn answer(frame: &Frame) -> Option<Frame> {
    (frame[0] != 0xff).then(|| frame.map(|byte| !byte))
}

fn at(millis: u64) -> Instant {
    Instant::from_millis(millis)
}

/// Runs a server until `end`, calling it at its wake-ups, at the peers' doings and, with a random
/// stack, now and then in between. Returns the frames served, with their peers.
fn drive<const N: usize>(
    server: &mut TcpServer<ScriptedServer, N>,
    stack: &mut ScriptedServer,
    end: u64,
) -> Vec<(SocketAddr, Frame)> {
    let mut frames = Vec::new();
    let mut turns_at_once = 0;
    while stack.now < end {
        let now = stack.now;
        let before = (stack.calls, frames.len());
        let Served { frames: served, wake_at } =
            server.poll(stack, at(now), |told, peer, frame| {
                assert_eq!(told, at(now));
                frames.push((peer, *frame));
                answer(frame)
            });
        assert_eq!(frames.len(), before.1 + usize::from(served));
        assert!(usize::from(served) <= N, "one frame of each connection");
        assert!(stack.calls - before.0 <= N + N * 751, "bounded work");
        assert!(server.connections() <= N);
        assert!(wake_at >= at(now) && wake_at <= at(now + 30_000), "{wake_at:?} at {now}");
        turns_at_once = if wake_at == at(now) { turns_at_once + 1 } else { 0 };
        assert!(turns_at_once < 1_000, "no turn without progress for ever");
        let mut next = wake_at.as_millis().min(end);
        if next > now {
            next = next.min(stack.next_event().unwrap_or(u64::MAX));
            if let Some(rng) = &mut stack.rng {
                next = next.min(now + 1 + rng.below(900));
            }
        }
        stack.now = next;
    }
    frames
}

fn closed(stack: &ScriptedServer, peer: usize) -> Option<u64> {
    stack.peers[peer].closed_at
}

#[test]
fn answers_one_exchange_after_the_other_and_closes_after_30_s() {
    for style in [Style::Std, Style::Smoltcp] {
        // Two frames at once, one in two halves later, then nothing.
        let both = [question(0, 0), question(0, 1)].concat();
        let third = question(0, 2);
        let peer = Peer::new(5).sends(6, &both).sends(20_000, &third[..1]);
        let peer = peer.sends(45_000, &third[1..]);
        let mut stack = ScriptedServer::new(style, vec![peer]);
        let mut server = TcpServer::<_, 2>::new(1688);
        let frames = drive(&mut server, &mut stack, 200_000);
        let expected: Vec<Frame> = (0..3).map(|number| question(0, number)).collect();
        assert_eq!(frames.iter().map(|(_, frame)| *frame).collect::<Vec<_>>(), expected);
        let answers: Vec<u8> = expected.iter().flat_map(|f| answer(f).unwrap()).collect();
        assert_eq!(stack.peers[0].received, answers);
        assert_eq!(closed(&stack, 0), Some(75_000));
        let counters = server.counters();
        assert_eq!((counters.accepted, counters.frames, counters.answers), (1, 3, 3));
        assert_eq!((counters.expired, counters.lost, counters.evicted), (1, 0, 0));
        server.close(&mut stack);
        stack.assert_all_closed();
    }
}

#[test]
fn closes_who_never_sends_who_drips_and_who_never_reads_after_30_s() {
    for style in [Style::Std, Style::Smoltcp] {
        let idle = Peer::new(1_000);
        let mut drip = Peer::new(1_000);
        for second in 0..200 {
            drip = drip.sends(11_000 + second * 1_000, &question(1, 0)[..1]);
        }
        let mut deaf = Peer::new(1_000).sends(2_000, &question(2, 0));
        deaf.window = 249;
        let mut stack = ScriptedServer::new(style, vec![idle, drip, deaf]);
        let mut server = TcpServer::<_, 4>::new(1688);
        let frames = drive(&mut server, &mut stack, 100_000);
        assert_eq!(frames, [(ScriptedServer::address(2), question(2, 0))]);
        assert_eq!(closed(&stack, 0), Some(31_000));
        // The frame began with the first byte.
        assert_eq!(closed(&stack, 1), Some(41_000));
        assert_eq!(closed(&stack, 2), Some(32_000));
        assert_eq!(stack.peers[2].received.len(), 249);
        assert_eq!(server.counters().expired, 3);
        assert_eq!(server.connections(), 0);
        server.close(&mut stack);
        stack.assert_all_closed();
    }
}

#[test]
fn silence_closes_the_connection_at_once() {
    let mut frame = question(0, 0);
    frame[0] = 0xff;
    let peer = Peer::new(0).sends(10, &frame).sends(20, &question(0, 1));
    let mut stack = ScriptedServer::new(Style::Smoltcp, vec![peer]);
    let mut server = TcpServer::<_, 1>::new(1688);
    let frames = drive(&mut server, &mut stack, 1_000);
    assert_eq!(frames.len(), 1);
    assert_eq!(closed(&stack, 0), Some(10));
    assert!(stack.peers[0].received.is_empty());
    assert_eq!(server.counters().silences, 1);
}

#[test]
fn a_peer_who_leaves_is_noticed_as_soon_as_the_stack_tells() {
    for (style, noticed) in [(Style::Smoltcp, 500), (Style::Std, 30_200)] {
        let mut peer = Peer::new(100).sends(200, &question(0, 0)[..100]);
        peer.leaves_at = 500;
        let mut stack = ScriptedServer::new(style, vec![peer]);
        let mut server = TcpServer::<_, 1>::new(1688);
        assert!(drive(&mut server, &mut stack, 60_000).is_empty());
        assert_eq!(closed(&stack, 0), Some(noticed));
    }
}

#[test]
fn slow_peers_do_not_hold_up_the_others() {
    let mut peers: Vec<Peer> =
        (0..3).map(|n| Peer::new(0).sends(1, &question(n, 0)[..249])).collect();
    peers.push((0..20).fold(Peer::new(10), |peer, number| {
        peer.sends(20 + number * 100, &question(3, number as usize))
    }));
    let mut stack = ScriptedServer::new(Style::Std, peers);
    let mut server = TcpServer::<_, 4>::new(1688);
    let mut answered = Vec::new();
    while stack.now < 3_000 {
        let now = at(stack.now);
        let served = server.poll(&mut stack, now, |now, _, frame| {
            answered.push(now.as_millis());
            answer(frame)
        });
        stack.now = served.wake_at.as_millis().min(stack.next_event().unwrap_or(3_000));
    }
    assert_eq!(answered, (0..20).map(|number| 20 + number * 100).collect::<Vec<u64>>());
}

#[test]
fn those_who_take_all_places_lock_others_out_for_3_s_only() {
    for start in [&b""[..], &question(0, 0)[..10]] {
        // Four connect and stall; at each eviction their next one is queued before the honest one.
        let mut peers: Vec<Peer> = (0..4)
            .map(|_| if start.is_empty() { Peer::new(0) } else { Peer::new(0).sends(0, start) })
            .collect();
        peers.push(Peer::new(1_000).sends(1_000, &question(4, 0)));
        let mut stack = ScriptedServer::new(Style::Std, peers);
        let mut server = TcpServer::<_, 4>::new(1688);
        let frames = drive(&mut server, &mut stack, 10_000);
        assert_eq!(frames, [(ScriptedServer::address(4), question(4, 0))]);
        assert_eq!(stack.peers[4].accepted_at, Some(3_000));
        assert_eq!(server.counters().evicted, 1);
        assert_eq!(stack.closed, 1);
    }
}

#[test]
fn work_that_is_left_over_is_done_at_once() {
    // No event follows: only the wake-up can bring the server back to the rest.
    let mut junk = question(0, 0);
    junk[0] = 0xff;
    let three = [question(1, 0), question(1, 1), question(1, 2)].concat();
    let peers = vec![Peer::new(0).sends(0, &junk), Peer::new(0).sends(0, &three)];
    for style in [Style::Std, Style::Smoltcp] {
        let mut stack = ScriptedServer::new(style, peers.clone());
        let mut server = TcpServer::<_, 1>::new(1688);
        drive(&mut server, &mut stack, 10_000);
        assert_eq!(closed(&stack, 0), Some(0));
        assert_eq!(stack.peers[1].accepted_at, Some(0));
        assert_eq!((stack.peers[1].received.len(), stack.peers[1].received_at), (750, 0));
    }
}

#[test]
fn a_late_call_serves_who_waited_before_it_evicts() {
    let peers = (0..4).map(|n| Peer::new(0).sends(10 * n, &question(n as usize, 0))).collect();
    let mut stack = ScriptedServer::new(Style::Std, peers);
    let mut server = TcpServer::<_, 2>::new(1688);
    let _ = server.poll(&mut stack, at(0), |_, _, _| None);
    stack.now = 100_000;
    drive(&mut server, &mut stack, 110_000);
    assert!(stack.peers.iter().all(|peer| peer.received.len() == 250));
}

#[test]
fn eviction_takes_the_one_idle_longest() {
    let peers = vec![
        Peer::new(0).sends(8_000, &question(0, 0)),
        Peer::new(1_000),
        Peer::new(2_000),
        Peer::new(10_000).sends(10_000, &question(3, 0)),
    ];
    let mut stack = ScriptedServer::new(Style::Smoltcp, peers);
    let mut server = TcpServer::<_, 3>::new(1688);
    drive(&mut server, &mut stack, 12_000);
    assert_eq!(closed(&stack, 1), Some(10_000));
    assert_eq!((closed(&stack, 0), closed(&stack, 2)), (None, None));
    assert_eq!(stack.peers[3].received.len(), 250);
}

#[test]
fn a_site_that_comes_up_together_is_served_by_few_places() {
    // 50 machines at once, four places: nobody is evicted before the question had time to come.
    let peers: Vec<Peer> = (0..50)
        .map(|n| {
            let mut peer = Peer::new(1_000).sends(1_040, &question(n, 0));
            peer.leaves_at = 1_000_000;
            peer
        })
        .collect();
    let mut stack = ScriptedServer::new(Style::Std, peers);
    let mut server = TcpServer::<_, 4>::new(1688);
    drive(&mut server, &mut stack, 60_000);
    for (n, peer) in stack.peers.iter().enumerate() {
        assert_eq!(peer.received, answer(&question(n, 0)).unwrap(), "peer {n}");
    }
    // They do not close, so each batch of four waits 100 ms for the one before it.
    assert!(stack.peers.iter().all(|peer| peer.received_at <= 1_040 + 12 * 100));
    assert_eq!(server.counters().evicted, 46);
}

#[test]
fn the_port_is_opened_as_soon_as_the_stack_allows() {
    for (bind_faults, listen_faults, error) in
        [(1, 0, OpenError::Bind(1688)), (0, 1, OpenError::Listen(1688))]
    {
        let peer = Peer::new(0).sends(0, &question(0, 0));
        let mut stack = ScriptedServer::new(Style::Std, vec![peer]);
        (stack.bind_faults, stack.listen_faults) = (bind_faults, listen_faults);
        let mut server = TcpServer::<_, 1>::new(1688);
        assert_eq!(server.open(&mut stack), Err(error));
        stack.assert_all_closed();
        assert_eq!(server.open(&mut stack), Ok(()));
        assert_eq!(server.open(&mut stack), Ok(()));
        assert_eq!(stack.opened, 2);
    }
    let peer = Peer::new(0).sends(0, &question(0, 0));
    let mut stack = ScriptedServer::new(Style::Std, vec![peer]);
    stack.bind_faults = 3;
    let mut server = TcpServer::<_, 1>::new(1688);
    drive(&mut server, &mut stack, 5_000);
    assert_eq!(stack.peers[0].received_at, 3_000);
    assert_eq!(server.counters().open_errors, 3);
    assert!(server.is_open());
}

#[test]
fn a_port_that_only_fails_is_opened_anew_after_30_s() {
    let peer = Peer::new(0).sends(0, &question(0, 0));
    let mut stack = ScriptedServer::new(Style::Std, vec![peer]);
    stack.accept_faults = usize::MAX;
    let mut server = TcpServer::<_, 1>::new(1688);
    for now in (0..30_000).step_by(1_000) {
        stack.now = now;
        let _ = server.poll(&mut stack, at(now), |_, _, frame| answer(frame));
    }
    assert_eq!((stack.opened, stack.closed), (1, 0));
    let _ = server.poll(&mut stack, at(30_000), |_, _, frame| answer(frame));
    assert_eq!((stack.opened, stack.closed), (1, 1));
    stack.accept_faults = 0;
    stack.now = 30_000;
    drive(&mut server, &mut stack, 31_000);
    assert_eq!(stack.peers[0].received.len(), 250);
}

#[test]
fn any_script_gets_each_peer_its_own_answers_in_order() {
    let mut answers = 0;
    for seed in 0..600 {
        let mut rng = Rng::new(seed);
        let style = rng.pick(&[Style::Std, Style::Smoltcp]);
        let mut asked = Vec::new();
        let peers = (0..=rng.size(10)).map(|n| {
            let mut peer = Peer::new(rng.below(20_000));
            let series: Vec<u8> = (0..rng.size(4)).flat_map(|number| question(n, number)).collect();
            let mut rest = series.as_slice();
            let mut when = peer.connects_at;
            while !rest.is_empty() && !rng.one_in(30) {
                let size = if rng.one_in(2) { rest.len() } else { 1 + rng.size(rest.len()) };
                peer = peer.sends(when, &rest[..size]);
                rest = &rest[size..];
                when += rng.pick(&[0, 1, 50, 2_000, 20_000]);
            }
            if rng.one_in(3) {
                peer.leaves_at = when + rng.below(5_000);
            }
            if rng.one_in(4) {
                peer.window = rng.size(600);
            }
            asked.push(series);
            peer
        });
        let peers = peers.collect();
        let mut stack = ScriptedServer::new(style, peers);
        stack.bind_faults = rng.size(3);
        stack.accept_faults = rng.size(5);
        if rng.one_in(4) {
            stack.sockets = 4 + rng.size(3);
        }
        stack.rng = Some(rng);
        let mut server = TcpServer::<_, 4>::new(1688);
        let frames = drive(&mut server, &mut stack, 200_000);
        for (n, peer) in stack.peers.iter().enumerate() {
            let own = frames.iter().filter(|(from, _)| *from == ScriptedServer::address(n));
            let own: Vec<u8> = own.flat_map(|(_, frame)| *frame).collect();
            let sent = peer.sent_by(u64::MAX - 1);
            assert!(sent.starts_with(&own), "seed {seed}: peer {n} was served what it sent");
            let due: Vec<u8> = own.iter().map(|byte| !byte).collect();
            assert!(due.starts_with(&peer.received), "seed {seed}: peer {n} got its answers");
            answers += peer.received.len() / 250;
            if let Some(accepted) = peer.accepted_at {
                let closed = peer.closed_at;
                assert!(closed.is_some(), "seed {seed}: peer {n} holds its place for ever");
                assert!(closed >= Some(accepted), "seed {seed}");
            }
        }
        assert_eq!(server.connections(), 0, "seed {seed}");
        server.close(&mut stack);
        stack.assert_all_closed();
    }
    assert!(answers > 2_000, "{answers} answers");
}

fn client(n: u8) -> SocketAddr {
    (Ipv4Addr::new(192, 0, 2, n), 40_000).into()
}

#[test]
fn udp_answers_whole_frames_to_where_they_came_from() {
    for style in [Style::Std, Style::Smoltcp] {
        let mut stack = ScriptedUdp::new(style);
        let mapped = (Ipv4Addr::new(192, 0, 2, 9).to_ipv6_mapped(), 40_000).into();
        stack.arrives(0, mapped, &question(9, 0));
        for (n, length) in [(1, 0), (2, 1), (3, 249), (4, 251), (5, 1_500)] {
            stack.arrives(0, client(n), &question(1, 0).repeat(6)[..length]);
        }
        let mut silent = question(6, 0);
        silent[0] = 0xff;
        stack.arrives(0, client(6), &silent);
        for n in 7..30 {
            stack.arrives(0, client(n), &question(n.into(), 0));
        }
        let mut server = UdpServer::new(1688);
        let mut told = Vec::new();
        loop {
            let calls = stack.receive_calls;
            let served = server.poll(&mut stack, at(0), |_, peer, frame| {
                told.push(peer);
                answer(frame)
            });
            assert!(stack.receive_calls - calls <= 8);
            if served.wake_at > at(0) {
                assert_eq!(served.wake_at, at(30_000));
                break;
            }
        }
        assert_eq!(told[0], client(9), "the plain form of the address");
        assert_eq!(stack.outbox[0].peer, mapped, "answered to the form it came in");
        assert_eq!(stack.outbox.len(), 24);
        for (sent, n) in stack.outbox[1..].iter().zip(7..) {
            assert_eq!(sent.peer, client(n));
            assert_eq!(sent.bytes, answer(&question(n.into(), 0)).unwrap());
        }
        let counters = server.counters();
        assert_eq!((counters.frames, counters.answers, counters.silences), (25, 24, 1));
        assert_eq!(counters.wrong_length, if style == Style::Std { 4 } else { 3 });
        server.close(&mut stack);
        stack.assert_all_closed();
    }
}

#[test]
fn udp_drops_the_answer_that_the_stack_does_not_take() {
    let mut stack = ScriptedUdp::new(Style::Std);
    stack.sending = [Sending::Blocks, Sending::Fails].into();
    for n in 1..4 {
        stack.arrives(0, client(n), &question(n.into(), 0));
    }
    let mut server = UdpServer::new(1688);
    let served = server.poll(&mut stack, at(0), |_, _, frame| answer(frame));
    assert_eq!(served.frames, 3);
    assert_eq!((server.counters().answers, server.counters().dropped), (1, 2));
    assert_eq!(stack.outbox[0].peer, client(3));
}

#[test]
fn udp_opens_its_port_as_soon_as_the_stack_allows() {
    let mut stack = ScriptedUdp::new(Style::Smoltcp);
    stack.bind_faults = 2;
    let mut server = UdpServer::new(1688);
    assert_eq!(server.open(&mut stack), Err(OpenError::Bind(1688)));
    stack.assert_all_closed();
    let served = server.poll(&mut stack, at(10), |_, _, _| None);
    assert_eq!(served, Served { frames: 0, wake_at: at(1_010) });
    stack.arrives(10, client(1), &question(1, 0));
    stack.now = 1_010;
    let served = server.poll(&mut stack, at(1_010), |_, _, frame| answer(frame));
    assert_eq!(served.frames, 1);
    assert!(server.is_open());
}

#[test]
fn a_connection_costs_about_300_bytes() {
    type Of<const N: usize> = TcpServer<ScriptedServer, N>;
    let each = (size_of::<Of<11>>() - size_of::<Of<1>>()) / 10;
    assert!(each <= 312, "{each} bytes");
}
