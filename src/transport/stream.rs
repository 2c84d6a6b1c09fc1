//! One frame's way through a TCP stream, in pieces of any size.

use embedded_nal::{TcpClientStack, nb};

use crate::wire::{FRAME_LEN, Frame};

const _: () = assert!(FRAME_LEN <= u8::MAX as usize);

/// A frame being sent or received, and how far it is.
pub(super) struct Transfer {
    frame: Frame,
    done: u8,
}

/// How a step went that did not break the connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// All 250 bytes are through.
    Whole,
    /// The stack takes, or has, no more bytes now.
    Partial,
}

/// The stack reported an error: the connection is of no more use.
pub(super) struct Broken;

impl Transfer {
    /// To send this frame.
    pub(super) const fn of(frame: Frame) -> Self {
        Self { frame, done: 0 }
    }

    /// To receive one.
    pub(super) const fn empty() -> Self {
        Self::of([0; FRAME_LEN])
    }

    /// Bytes that are through, 0 to 250.
    pub(super) const fn done(&self) -> u8 {
        self.done
    }

    /// The frame; as received only after [`Step::Whole`].
    pub(super) const fn frame(&self) -> &Frame {
        &self.frame
    }

    /// Sends the unsent tail, as much as the stack takes: at most 250 calls.
    pub(super) fn send<S: TcpClientStack>(
        &mut self,
        stack: &mut S,
        socket: &mut S::TcpSocket,
    ) -> Result<Step, Broken> {
        self.advance(|rest| stack.send(socket, rest))
    }

    /// Receives what is missing, never a byte beyond the frame: at most 250 calls.
    pub(super) fn receive<S: TcpClientStack>(
        &mut self,
        stack: &mut S,
        socket: &mut S::TcpSocket,
    ) -> Result<Step, Broken> {
        self.advance(|rest| stack.receive(socket, rest))
    }

    fn advance<E>(
        &mut self,
        mut step: impl FnMut(&mut [u8]) -> nb::Result<usize, E>,
    ) -> Result<Step, Broken> {
        loop {
            let rest = self.frame.get_mut(usize::from(self.done)..).unwrap_or_default();
            if rest.is_empty() {
                return Ok(Step::Whole);
            }
            let most = rest.len();
            match step(rest) {
                Ok(0) | Err(nb::Error::WouldBlock) => return Ok(Step::Partial),
                // A stack that claims more bytes than it was given has moved all of them at best.
                Ok(moved) => self.done = self.done.saturating_add(moved.min(most) as u8),
                Err(nb::Error::Other(_)) => return Err(Broken),
            }
        }
    }
}
