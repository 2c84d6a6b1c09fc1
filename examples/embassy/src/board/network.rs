//! An Ethernet port whose cable ends in the air: what is sent goes nowhere, and nothing arrives.
//!
//! Every embassy HAL with Ethernet or a radio has a type with `embassy_net`'s driver trait. It takes
//! the place of [`Device`], and its runner that of [`run_wire`].

use embassy_net::driver::{HardwareAddress, LinkState};
use embassy_net_driver_channel::{self as channel, State};
use static_cell::StaticCell;

/// This unit's address, from the factory. This one is for private use.
pub const MAC: [u8; 6] = [0x02, 0x00, 0x00, 0x00, 0x00, 0x01];

/// Bytes of the longest frame.
const MTU: usize = 1514;
/// Frames that wait, each way.
const FRAMES: usize = 2;

/// The network's end of the port.
pub type Device = channel::Device<'static, MTU>;

/// The cable's end of the port.
pub type Wire = channel::Runner<'static, MTU>;

/// Opens the port. Call it once.
pub fn open_network() -> (Device, Wire) {
    static STATE: StaticCell<State<MTU, FRAMES, FRAMES>> = StaticCell::new();

    let (wire, device) = channel::new(STATE.init(State::new()), HardwareAddress::Ethernet(MAC));
    (device, wire)
}

/// Carries the frames.
pub async fn run_wire(mut wire: Wire) -> ! {
    wire.set_link_state(LinkState::Up);
    loop {
        let frame = wire.tx_buf().await;
        defmt::debug!("{} bytes sent", frame.len());
        wire.tx_done();
    }
}
