//! One exchange over a TCP connection of its own.

use core::fmt;
use core::net::SocketAddr;

use embedded_io_async::{Read, Write};
use embedded_nal_async::TcpConnect;

use super::race::before;
use super::{Clock, Exchange};
use crate::transport::{Failure, Timeouts};
use crate::wire::{FRAME_LEN, Frame};

/// One request and its answer over TCP (PROTOCOL 13): connect, send 250 bytes, receive 250, close.
///
/// Bytes after the answer are never read and go with the connection, which is closed before `judge`
/// is asked. An answer that `judge` does not believe is [`Failure::Answered`].
#[must_use = "an exchange does nothing until it is run"]
pub struct TcpExchange<'a, S> {
    stack: &'a S,
    remote: SocketAddr,
    timeouts: Timeouts,
}

impl<'a, S: TcpConnect> TcpExchange<'a, S> {
    /// With the host at `remote`. Nothing happens, and no time counts, before it is run.
    pub const fn new(stack: &'a S, remote: SocketAddr, timeouts: Timeouts) -> Self {
        Self { stack, remote, timeouts }
    }
}

impl<S: TcpConnect> Exchange for TcpExchange<'_, S> {
    async fn run<T>(
        self,
        clock: &impl Clock,
        request: &Frame,
        mut judge: impl FnMut(&Frame) -> Option<T>,
    ) -> Result<T, Failure> {
        let since = clock.now();
        let deadline = since.after(self.timeouts.connect);
        let Some(connected) = before(clock, deadline, self.stack.connect(self.remote)).await else {
            return Err(Failure::ConnectTimeout { waited: clock.now().since(since) });
        };
        let mut connection = connected.map_err(|_| Failure::NotConnected)?;

        let since = clock.now();
        let deadline = since.after(self.timeouts.answer);
        let mut answer = [0; FRAME_LEN];
        let mut moved = Moved::default();
        let talk = talk(&mut connection, request, &mut answer, &mut moved);
        let end = before(clock, deadline, talk).await;
        // Dropping is all the closing that the traits know.
        drop(connection);
        match end {
            Some(Ok(())) => judge(&answer).ok_or(Failure::Answered),
            Some(Err(failure)) => Err(failure),
            None => {
                let Moved { sent, received } = moved;
                let waited = clock.now().since(since);
                Err(Failure::AnswerTimeout { sent, received, waited })
            }
        }
    }
}

/// Bytes that are through, 0 to 250 each way: they outlive a talk that is cut short.
#[derive(Clone, Copy, Default)]
struct Moved {
    sent: u8,
    received: u8,
}

/// Sends the request and receives the answer, in pieces of any size.
async fn talk(
    connection: &mut (impl Read + Write),
    request: &Frame,
    answer: &mut Frame,
    moved: &mut Moved,
) -> Result<(), Failure> {
    while let Some(rest) = request.get(usize::from(moved.sent)..).filter(|rest| !rest.is_empty()) {
        match connection.write(rest).await {
            // A stack that claims more bytes than it was given has moved all of them at best.
            Ok(bytes @ 1..) => add(&mut moved.sent, bytes.min(rest.len())),
            Ok(0) | Err(_) => return Err(Failure::SendBroken { sent: moved.sent }),
        }
    }
    // A stack may hold small writes back until it is told to send. When that fails, what was
    // received before is worth reading all the same, and the next read fails where nothing was.
    drop(connection.flush().await);
    loop {
        let rest = answer.get_mut(usize::from(moved.received)..).unwrap_or_default();
        let most = rest.len();
        if most == 0 {
            return Ok(());
        }
        match connection.read(rest).await {
            Ok(bytes @ 1..) => add(&mut moved.received, bytes.min(most)),
            Ok(0) | Err(_) => return Err(Failure::ClosedEarly { received: moved.received }),
        }
    }
}

/// `bytes` is no more than what is missing of a frame.
fn add(count: &mut u8, bytes: usize) {
    *count = count.saturating_add(bytes as u8);
}

impl<S> fmt::Debug for TcpExchange<'_, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpExchange")
            .field("remote", &self.remote)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}
