//! What headcount's transport wants of a platform: the time, and something to do while it waits.

use headcount::time::Instant;
use headcount::transport;
use smoltcp::phy::Device;

use crate::board::Clock;
use crate::nal::Stack;
use crate::network::stack_time;

/// Runs the network stack while the transport waits, and sleeps while neither has anything to do.
pub struct Platform<'c>(pub &'c Clock);

impl<D: Device, const SOCKETS: usize, const BACKLOG: usize>
    transport::Platform<Stack<'_, D, SOCKETS, BACKLOG>> for Platform<'_>
{
    fn now(&mut self) -> Instant {
        self.0.now()
    }

    fn idle(&mut self, stack: &mut Stack<'_, D, SOCKETS, BACKLOG>, until: Instant) {
        let now = self.0.now();
        let stack_wakes_at = stack.poll(stack_time(now));
        // Any sleep is short: what comes in meanwhile waits in the Ethernet controller.
        if until > now && stack_wakes_at.is_none_or(|at| at > stack_time(now)) {
            self.0.sleep();
        }
    }
}
