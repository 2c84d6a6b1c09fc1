//! A question's and its answer's way through a TCP stream, in pieces of any size.

use embedded_nal::{TcpClientStack, nb};

use crate::discovery::message::QUERY_LEN;

/// A message has its length before it (RFC 1035 4.2.2).
const PREFIX_LEN: usize = 2;

/// How far a question and its answer are by TCP.
#[derive(Clone, Copy, Default)]
pub(super) struct Stream {
    /// Bytes of the question, with its length before it.
    sent: usize,
    /// The answer's length, of which so many bytes are there.
    prefix: [u8; PREFIX_LEN],
    prefix_received: usize,
    received: usize,
}

/// The stack reported an error: the connection is of no more use.
pub(super) struct Broken;

impl Stream {
    /// Bytes of the answer that are there.
    pub(super) const fn received(&self) -> u16 {
        // Its length has two bytes.
        self.received as u16
    }

    /// The answer's length, once it is known.
    pub(super) fn length(&self) -> u16 {
        match self.prefix_received {
            PREFIX_LEN => u16::from_be_bytes(self.prefix),
            _ => 0,
        }
    }

    /// Sends and receives what can be now, never a byte beyond the answer or the buffer. Whether the
    /// whole answer is there.
    pub(super) fn advance<S: TcpClientStack>(
        &mut self,
        stack: &mut S,
        socket: &mut S::TcpSocket,
        query: &[u8],
        buffer: &mut [u8],
    ) -> Result<bool, Broken> {
        // In one piece, because some servers read the length and the rest in one go (RFC 7766 8).
        let mut question = [0; PREFIX_LEN + QUERY_LEN];
        let (prefix, rest) = question.split_at_mut(PREFIX_LEN);
        prefix.copy_from_slice(&(query.len() as u16).to_be_bytes());
        for (to, from) in rest.iter_mut().zip(query) {
            *to = *from;
        }
        let length = query.len().saturating_add(PREFIX_LEN);
        let question = question.get_mut(..length).unwrap_or_default();
        if !advance(&mut self.sent, question, |rest| stack.send(socket, rest))? {
            return Ok(false);
        }
        let Self { prefix, prefix_received, .. } = self;
        if !advance(prefix_received, prefix, |rest| stack.receive(socket, rest))? {
            return Ok(false);
        }
        match buffer.get_mut(..usize::from(self.length())) {
            Some(answer) => advance(&mut self.received, answer, |rest| stack.receive(socket, rest)),
            // It does not fit.
            None => Ok(false),
        }
    }
}

/// Moves what is missing, as much as the stack takes or has; whether all is through.
fn advance<E>(
    done: &mut usize,
    bytes: &mut [u8],
    mut step: impl FnMut(&mut [u8]) -> nb::Result<usize, E>,
) -> Result<bool, Broken> {
    loop {
        let rest = bytes.get_mut(*done..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(true);
        }
        let most = rest.len();
        match step(rest) {
            Ok(0) | Err(nb::Error::WouldBlock) => return Ok(false),
            // A stack that claims more bytes than it was given has moved all of them at best.
            Ok(moved) => *done = done.saturating_add(moved.min(most)),
            Err(nb::Error::Other(_)) => return Err(Broken),
        }
    }
}
