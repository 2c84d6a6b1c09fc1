//! One exchange over UDP, with its retransmissions.

use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use embedded_nal_async::{ConnectedUdp, UdpStack};

use super::race::{before, sleep_until};
use super::{Clock, Exchange};
use crate::policy::RETRANSMISSION_WAITS;
use crate::time::Instant;
use crate::transport::schedule::Schedule;
use crate::transport::{DATAGRAM_LEN, DATAGRAMS_PER_POLL, Failure, SEND_RETRY, whole_frame};
use crate::wire::Frame;

/// How long other tasks are left alone with the processor after [`DATAGRAMS_PER_POLL`] datagrams,
/// or errors instead of datagrams, that came without a pause: 10 ms.
pub const BREATH: Duration = Duration::from_millis(10);

/// One request and its answer over UDP (PROTOCOL 13), on a socket of its own.
///
/// The frame is sent at once and again 1, 3, 7 and 15 s later; the exchange ends after 23 s. Anybody
/// can send a datagram, so an answer ends nothing until `judge` believes it. A task that is late
/// sends one datagram, not those it missed, and still looks at what has arrived.
#[must_use = "an exchange does nothing until it is run"]
pub struct UdpExchange<'a, S> {
    stack: &'a S,
    remote: SocketAddr,
}

impl<'a, S: UdpStack> UdpExchange<'a, S> {
    /// With the host at `remote`. Nothing happens, and no time counts, before it is run.
    pub const fn new(stack: &'a S, remote: SocketAddr) -> Self {
        Self { stack, remote }
    }
}

impl<S: UdpStack> Exchange for UdpExchange<'_, S> {
    async fn run<T>(
        self,
        clock: &impl Clock,
        request: &Frame,
        judge: impl FnMut(&Frame) -> Option<T>,
    ) -> Result<T, Failure> {
        let since = clock.now();
        let mut attempt = Attempt { clock, request, since, tally: Tally::default() };
        let end = since.after(RETRANSMISSION_WAITS.iter().sum::<Duration>());
        match before(clock, end, self.stack.connect(self.remote)).await {
            Some(Ok((_local, mut socket))) => attempt.run(&mut socket, judge).await,
            Some(Err(_)) => Err(Failure::NotConnected),
            None => Err(attempt.no_answer()),
        }
    }
}

/// The same over a socket that is connected to the host already, for stacks that have
/// [`ConnectedUdp`] but no [`UdpStack`]. What an earlier exchange left in the socket is harmless:
/// `judge` does not believe it.
#[derive(Debug)]
#[must_use = "an exchange does nothing until it is run"]
pub struct ConnectedUdpExchange<'a, C> {
    socket: &'a mut C,
}

impl<'a, C: ConnectedUdp> ConnectedUdpExchange<'a, C> {
    /// Over this socket. Nothing happens, and no time counts, before it is run.
    pub const fn new(socket: &'a mut C) -> Self {
        Self { socket }
    }
}

impl<C: ConnectedUdp> Exchange for ConnectedUdpExchange<'_, C> {
    async fn run<T>(
        self,
        clock: &impl Clock,
        request: &Frame,
        judge: impl FnMut(&Frame) -> Option<T>,
    ) -> Result<T, Failure> {
        let since = clock.now();
        Attempt { clock, request, since, tally: Tally::default() }.run(self.socket, judge).await
    }
}

/// An exchange that has begun.
struct Attempt<'a, C> {
    clock: &'a C,
    request: &'a Frame,
    since: Instant,
    tally: Tally,
}

#[derive(Clone, Copy, Default)]
struct Tally {
    sent: u8,
    rejected: u16,
    ignored: u16,
}

impl<C: Clock> Attempt<'_, C> {
    /// Sends when it is time, and listens in between.
    async fn run<T>(
        &mut self,
        socket: &mut impl ConnectedUdp,
        mut judge: impl FnMut(&Frame) -> Option<T>,
    ) -> Result<T, Failure> {
        // How many of the sending times have had their datagram.
        let mut begun = 0;
        loop {
            let now = self.clock.now();
            let schedule = Schedule::at(now.since(self.since));
            if schedule.over {
                return Err(self.no_answer());
            }
            let next = self.since.after(schedule.next);
            let mut listen_until = next;
            if begun < schedule.begun {
                match before(self.clock, next, socket.send(self.request)).await {
                    Some(Ok(())) => {
                        begun = schedule.begun;
                        self.tally.sent = self.tally.sent.saturating_add(1);
                    }
                    // It may be about an earlier datagram, or the network is not up yet.
                    Some(Err(_)) => listen_until = next.min(now.after(SEND_RETRY)),
                    // Its time is over. Listening takes what is there, and does not wait.
                    None => {}
                }
            }
            if let Some(value) = self.listen(socket, listen_until, &mut judge).await {
                return Ok(value);
            }
        }
    }

    /// What `judge` makes of an answer, or `None` at `until`. A receive that is dropped there may
    /// take a datagram with it on some stacks: a loss like others, which the next datagram repairs.
    async fn listen<T>(
        &mut self,
        socket: &mut impl ConnectedUdp,
        until: Instant,
        judge: &mut impl FnMut(&Frame) -> Option<T>,
    ) -> Option<T> {
        let mut buffer = [0; DATAGRAM_LEN];
        loop {
            for _ in 0..DATAGRAMS_PER_POLL {
                let received = before(self.clock, until, socket.receive_into(&mut buffer)).await?;
                // An error is about an earlier datagram, or one that the stack dropped.
                let Ok(length) = received else { continue };
                if let Some(frame) = whole_frame(&buffer, length) {
                    let believed = judge(frame);
                    if believed.is_some() {
                        return believed;
                    }
                    self.tally.rejected = self.tally.rejected.saturating_add(1);
                } else {
                    self.tally.ignored = self.tally.ignored.saturating_add(1);
                }
            }
            let now = self.clock.now();
            if now >= until {
                return None;
            }
            sleep_until(self.clock, until.min(now.after(BREATH))).await;
        }
    }

    fn no_answer(&self) -> Failure {
        let Tally { sent, rejected, ignored } = self.tally;
        let waited = self.clock.now().since(self.since);
        Failure::NoAnswer { sent, rejected, ignored, waited }
    }
}

impl<S> fmt::Debug for UdpExchange<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UdpExchange").field("remote", &self.remote).finish_non_exhaustive()
    }
}
