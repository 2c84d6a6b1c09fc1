//! What the acceptance of a response takes, beside the bare verifications that it cannot do without.
#![no_std]
#![no_main]

use core::hint::black_box;

use headcount::client::{Client, Outcome, Step};
use headcount::time::Now;
use headcount::trust::Root;
use headcount::wire::{Frame, PublicKey};
use headcount_firmware::board::{self, measure, report};
use headcount_firmware::ed25519::{Bare, Key};
use headcount_firmware::exchange;
use headcount_firmware::vendor::{self, CountingRng, now};

/// Bytes of the labels "headcount/1/response" and "headcount/1/certificate" with their zero.
const RESPONSE_LABEL: &[u8; 21] = b"headcount/1/response\0";
const CERTIFICATE_LABEL: &[u8; 24] = b"headcount/1/certificate\0";

#[cortex_m_rt::entry]
fn main() -> ! {
    board::exit(bare().and_then(|()| acceptance()).is_some())
}

/// One and two strict verifications of what a response holds. The root's key is decoded once in a
/// product's life, the host's with each answer.
fn bare() -> Option<()> {
    let mut response = [0; 21 + 186];
    join(&mut response, RESPONSE_LABEL, exchange::RESPONSE.first_chunk::<186>()?);
    let response_signature = exchange::RESPONSE.last_chunk()?;
    let mut certificate = [0; 24 + 56];
    join(&mut certificate, CERTIFICATE_LABEL, exchange::CERTIFICATE.first_chunk::<56>()?);
    let certificate_signature = exchange::CERTIFICATE.last_chunk()?;
    let root = Bare::new(&exchange::ROOT_KEY)?;

    let host_signed = || {
        Bare::new(black_box(&exchange::HOST_KEY))?.verify(black_box(&response), response_signature)
    };
    let root_signed = || root.verify(black_box(&certificate), certificate_signature);
    host_signed().and_then(|()| root_signed())?;
    let one = measure(host_signed);
    let two = measure(|| root_signed().and_then(|()| host_signed()));
    report("bare_verify_instructions", one.instructions);
    report("bare_verify_twice_instructions", two.instructions);
    report("bare_verify_stack", one.stack);
    Some(())
}

fn join(whole: &mut [u8], first: &[u8], second: &[u8]) {
    for (to, from) in whole.iter_mut().zip(first.iter().chain(second)) {
        *to = *from;
    }
}

/// A client's first acceptance, and a renewal with the certificate that it then knows.
fn acceptance() -> Option<()> {
    let roots =
        [Root::with_verifier(vendor::ROOT_ID, &PublicKey(*black_box(&exchange::ROOT_KEY))).ok()?];
    let product = vendor::product(&roots);
    let mut rng = CountingRng(0);
    let mut client = Client::new(&product, vendor::machine(), vendor::ONE_HOST, now(0), &mut rng);
    for (day, answer, instructions, stack) in [
        (0, &exchange::RESPONSE, "accept_instructions", "accept_stack"),
        (
            vendor::RENEWAL_DAY,
            &exchange::RENEWAL_RESPONSE,
            "accept_known_instructions",
            "accept_known_stack",
        ),
    ] {
        ask(&mut client, now(day), &mut rng)?;
        let mut outcome = None;
        let cost = measure(|| outcome = Some(accept(&mut client, now(day), &mut rng, answer)));
        (outcome? == Some(Outcome::Activated { count: 1 })).then_some(())?;
        report(instructions, cost.instructions);
        report(stack, cost.stack);
    }
    Some(())
}

fn accept(
    client: &mut Client<'_, Key>,
    now: Now,
    rng: &mut CountingRng,
    answer: &Frame,
) -> Option<Outcome> {
    client.handle_response(now, rng, black_box(answer)).ok()
}

fn ask(client: &mut Client<'_, Key>, now: Now, rng: &mut CountingRng) -> Option<()> {
    loop {
        match client.poll(now, rng) {
            Step::Save | Step::Report(_) => {}
            Step::Send { .. } => return Some(()),
            Step::Wait { .. } => return None,
        }
    }
}
