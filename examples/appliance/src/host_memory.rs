//! The host that a client asks first, in flash: the one that granted something last.
//!
//! It has two slots of its own. It changes at other times than the client's state, and losing it costs
//! no more than a question to DNS: whatever is found there that is no host's name is as good as nothing.

use core::fmt::Write as _;
use core::net::IpAddr;

use embedded_storage::nor_flash::NorFlash;
use headcount::discovery::{ADDRESSES, Host};
use headcount::storage::{Found, Kind, SaveError, Slots, image_len};
use heapless::{String, Vec};

use crate::flash_store::FlashStore;

/// The longest `NAME:PORT`, and as many addresses as a client tries, a line each.
const HOST_LEN: usize = 253 + 1 + 5 + ADDRESSES * (1 + 45);

/// Where it is stored.
pub struct HostMemory<F> {
    slots: Slots<FlashStore<F>>,
    stored: String<HOST_LEN>,
}

/// A host and where it was: its name may be one that nobody can look up after the next start.
pub type Remembered = (Host, Vec<IpAddr, ADDRESSES>);

impl<F: NorFlash> HostMemory<F> {
    /// Looks into the two erase blocks from `start` on, and returns the host that is stored there.
    pub fn open(flash: F, start: u32) -> Result<(Self, Option<Remembered>), F::Error> {
        let mut buffer = [0; image_len(HOST_LEN)];
        let store = FlashStore::new(flash, start);
        let (slots, found) = Slots::open(store, Kind::RememberedHost, &mut buffer)?;
        let text = match found {
            Found::Whole { payload, .. } => str::from_utf8(payload).unwrap_or_default(),
            Found::Nothing | Found::Damaged { .. } => "",
        };
        let stored = String::try_from(text).unwrap_or_default();
        let mut lines = text.lines();
        let host = lines.next().and_then(|host| host.parse().ok());
        let addresses = lines.filter_map(|line| line.parse().ok()).take(ADDRESSES).collect();
        Ok((Self { slots, stored }, host.map(|host| (host, addresses))))
    }

    /// Stores this host, unless it is there already.
    pub fn keep(&mut self, host: &Host, addresses: &[IpAddr]) -> Result<(), SaveError<F::Error>> {
        let mut text = String::new();
        // The longest one fits.
        let _ = write!(text, "{host}");
        for address in addresses.iter().take(ADDRESSES) {
            let _ = write!(text, "\n{address}");
        }
        if text != self.stored {
            self.slots.save(text.as_bytes(), &mut [0; image_len(HOST_LEN)])?;
            self.stored = text;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash_store::tests::CutFlash;

    /// What a start finds in this flash.
    fn found(flash: CutFlash) -> Option<Host> {
        let flash = CutFlash { words_left: usize::MAX, ..flash };
        HostMemory::open(flash, 0).expect("readable").1.map(|(host, _)| host)
    }

    #[test]
    fn a_host_is_found_again() {
        let (mut memory, found_first) = HostMemory::open(CutFlash::new(usize::MAX), 0).unwrap();
        assert!(found_first.is_none());
        let mut longest = String::<HOST_LEN>::new();
        for label in ["a", "b", "c", "d"] {
            let length = if label == "d" { 61 } else { 63 };
            (0..length).for_each(|_| longest.push_str(label).unwrap());
            longest.push_str(if label == "d" { ":65535" } else { "." }).unwrap();
        }
        for host in ["one.example", "192.0.2.7:99", &longest] {
            let host = host.parse().unwrap();
            let longest = "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff".parse().unwrap();
            memory.keep(&host, &[longest; ADDRESSES]).unwrap();
            let flash = memory.slots.into_store().into_flash();
            let (reopened, found) = HostMemory::open(flash, 0).unwrap();
            let addresses = Vec::from_array([longest; ADDRESSES]);
            assert_eq!(found, Some((host, addresses)));
            memory = reopened;
        }
    }

    #[test]
    fn the_same_host_is_not_stored_again() {
        let host = "one.example".parse().unwrap();
        let (mut memory, _) = HostMemory::open(CutFlash::new(usize::MAX), 0).unwrap();
        memory.keep(&host, &[]).unwrap();
        let flash = CutFlash { words_left: 0, ..memory.slots.into_store().into_flash() };
        let (mut memory, _) = HostMemory::open(flash, 0).unwrap();
        memory.keep(&host, &[]).unwrap();
        assert!(
            memory.keep(&"two.example".parse().unwrap(), &[]).is_err(),
            "a flash without power"
        );
    }

    #[test]
    fn a_power_cut_leaves_the_one_before_it_at_worst() {
        let [one, two]: [Host; 2] =
            ["one.example", "two.example"].map(|host| host.parse().unwrap());
        let mut seen = [false; 2];
        for words in 0.. {
            let (mut memory, _) = HostMemory::open(CutFlash::new(usize::MAX), 0).unwrap();
            memory.keep(&one, &[]).unwrap();
            let flash = CutFlash { words_left: words, ..memory.slots.into_store().into_flash() };
            let (mut memory, _) = HostMemory::open(flash, 0).unwrap();
            let cut = memory.keep(&two, &[]).is_err();
            let found = found(memory.slots.into_store().into_flash());
            let index = [&one, &two].iter().position(|host| found.as_ref() == Some(host));
            seen[index.expect("one of them")] = true;
            if !cut {
                break;
            }
        }
        assert_eq!(seen, [true; 2]);
    }

    #[test]
    fn what_is_no_host_is_nothing() {
        let mut flash = CutFlash::new(usize::MAX);
        flash.cells.fill(0x55);
        assert_eq!(found(flash), None);
        let store = FlashStore::new(CutFlash::new(usize::MAX), 0);
        let mut buffer = [0; image_len(HOST_LEN)];
        let (mut slots, _) = Slots::open(store, Kind::RememberedHost, &mut buffer).unwrap();
        slots.save(b"no host:at all", &mut buffer).unwrap();
        assert_eq!(found(slots.into_store().into_flash()), None);
    }
}
