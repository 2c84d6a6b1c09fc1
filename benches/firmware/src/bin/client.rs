//! The life of a product: activated, restarted, renewed, restarted with other hardware, rearmed. State
//! is kept in two slots. What a firmware has besides is a network and a clock.
#![no_std]
#![no_main]

use core::hint::black_box;

use headcount::client::{Client, Failure, IMAGE_LEN, Product, Step};
use headcount::fingerprint::Fingerprint;
use headcount::storage::{Found, Kind, MemoryStore, Slots, image_len};
use headcount::time::Now;
use headcount::trust::Root;
use headcount::wire::{Frame, LicenceStatus, PublicKey};
use headcount_firmware::ed25519::Key;
use headcount_firmware::vendor::{self, CountingRng, now};
use headcount_firmware::{board, exchange};
use static_cell::{ConstStaticCell, StaticCell};

const SLOT_LEN: usize = image_len(IMAGE_LEN);

static ROOTS: StaticCell<[Root<Key>; 1]> = StaticCell::new();
static PRODUCT: StaticCell<Product<'static, Key>> = StaticCell::new();
static CLIENT: StaticCell<Client<'static, Key>> = StaticCell::new();
static BUFFER: ConstStaticCell<[u8; SLOT_LEN]> = ConstStaticCell::new([0; SLOT_LEN]);
static STORE: StaticCell<MemoryStore<SLOT_LEN>> = StaticCell::new();

#[cortex_m_rt::entry]
fn main() -> ! {
    board::exit(life().is_some())
}

/// `None` as soon as something is not as it should be.
fn life() -> Option<()> {
    let key = PublicKey(*black_box(&exchange::ROOT_KEY));
    let roots = ROOTS.try_init([Root::with_verifier(vendor::ROOT_ID, &key).ok()?])?;
    let product = PRODUCT.try_init(vendor::product(roots))?;
    let mut machine = vendor::machine();
    let mut rng = CountingRng(0);
    let store = STORE.try_init_with(MemoryStore::new)?;
    let buffer = BUFFER.try_take()?;

    let mut slots;
    let client = CLIENT.try_uninit()?;
    let (opened, found) = Slots::open(store, Kind::Client, buffer).ok()?;
    slots = opened;
    matches!(found, Found::Nothing).then_some(())?;
    let client = client.write(Client::new(product, machine, vendor::ONE_HOST, now(0), &mut rng));
    drive(client, now(0), &mut rng, &mut slots, buffer)?;
    client.is_activated(now(0)).then_some(())?;
    drive(client, now(vendor::RENEWAL_DAY), &mut rng, &mut slots, buffer)?;
    (client.activation()?.host_time == now(vendor::RENEWAL_DAY).clock?).then_some(())?;

    // A restart, and then other hardware, which cannot be activated by what the client holds.
    let (opened, found) = Slots::open(slots.into_store(), Kind::Client, buffer).ok()?;
    let Found::Whole { payload, .. } = found else { return None };
    *client = Client::resume(product, machine, vendor::ONE_HOST, payload, now(9), &mut rng).ok()?;
    slots = opened;
    client.is_activated(now(9)).then_some(())?;
    machine.fingerprint = Fingerprint::new([6; 8]);
    client.set_machine(machine, now(9));
    (client.licence(now(9)).status == LicenceStatus::OutOfToleranceGrace).then_some(())?;
    client.rearm(now(9), &mut rng).ok()?;
    drive(client, now(9), &mut rng, &mut slots, buffer)?;
    (client.rearms_left() == 2 && !client.is_activated(now(9))).then_some(())
}

/// Does what the client says, until it waits.
fn drive(
    client: &mut Client<'static, Key>,
    now: Now,
    rng: &mut CountingRng,
    slots: &mut Slots<&'static mut MemoryStore<SLOT_LEN>>,
    buffer: &mut [u8],
) -> Option<()> {
    loop {
        match client.poll(now, rng) {
            Step::Save => slots.save(&client.image(now), buffer).ok()?,
            Step::Report(event) => {
                black_box(event);
            }
            Step::Send { host } => {
                client.prefer_host(host);
                let failure = match answer(client.pending_frame()?) {
                    Some(answer) => match client.handle_response(now, rng, answer) {
                        Ok(_) => continue,
                        Err(discard) => Failure::Discarded(discard),
                    },
                    None => Failure::NoAnswer,
                };
                client.give_up(now, rng, failure);
            }
            Step::Wait { .. } => return Some(()),
        }
    }
}

/// The network: it knows the answers to two requests.
fn answer(request: &Frame) -> Option<&'static Frame> {
    let known = [
        (&exchange::REQUEST, &exchange::RESPONSE),
        (&exchange::RENEWAL, &exchange::RENEWAL_RESPONSE),
    ];
    known.into_iter().find(|(known, _)| *known == request).map(|(_, answer)| black_box(answer))
}
