//! Writes the linker's memory map, and an exchange with its renewal as statics: made here with the
//! library's own host and client, so that the client in the image, which gets the same randomness,
//! makes the same requests and can be given the same answers.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::{env, fs};

use headcount::client::{Client, Step};
use headcount::fingerprint::Matching;
use headcount::host::{Host, Pool, Settings, SetupKey, Source};
use headcount::time::{EpochMinute, Now};
use headcount::trust::{Root, Signer as _, SigningKey, sign_certificate};
use headcount::wire::{Certificate, Claims, Frame, Role};

#[path = "src/vendor.rs"]
mod vendor;

use vendor::{CountingRng, now};

/// QEMU's mps2-an386 has 4 MiB of each.
const MEMORY: &str =
    "MEMORY { FLASH : ORIGIN = 0, LENGTH = 4M RAM : ORIGIN = 0x20000000, LENGTH = 4M }\n";

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("memory.x"), MEMORY).expect("the output folder can be written");
    fs::write(out.join("exchange.rs"), exchange()).expect("the output folder can be written");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=src/vendor.rs");
}

/// First a client's first request and its answer, then a renewal a week later and the answer.
fn exchange() -> String {
    let root_key = SigningKey::from_seed(&vendor::ROOT_SEED);
    let host_key = SigningKey::from_seed(&vendor::HOST_SEED);
    let certificate = certify(&host_key, &root_key);
    let keys = [SetupKey::new(vendor::KEY_ID, &vendor::TAG_KEY)];
    let mut pools = [Pool::<50>::new(vendor::POOL, &vendor::SERVED, Matching::DEFAULT)];
    let certified = Some(certificate);
    let mut host: Host<'_, 50, 16> =
        Host::new(&mut pools, &keys, certified, Settings::DEFAULT, vendor::HASH_KEY);

    let roots = [Root::new(vendor::ROOT_ID, &root_key.public_key()).expect("a usable key")];
    let product = vendor::product(&roots);
    let mut rng = CountingRng(0);
    let mut client = Client::new(&product, vendor::machine(), vendor::ONE_HOST, now(0), &mut rng);
    let mut text = String::new();
    let mut constant = |name, bytes: &[u8]| {
        // In a section of its own, so that it does not count: it stands for a network.
        let section = "#[unsafe(link_section = \".network\")]";
        let length = bytes.len();
        writeln!(text, "{section}\npub static {name}: [u8; {length}] = {bytes:?};")
            .expect("a string");
    };
    constant("ROOT_KEY", &root_key.public_key().0);
    constant("HOST_KEY", &host_key.public_key().0);
    constant("CERTIFICATE", &certificate.emit());
    for (request, response, day) in
        [("REQUEST", "RESPONSE", 0), ("RENEWAL", "RENEWAL_RESPONSE", vendor::RENEWAL_DAY)]
    {
        let frame = ask(&mut client, now(day), &mut rng);
        let answer = host.handle(now(day), Source::UNKNOWN, &frame, &host_key).expect("an answer");
        client.handle_response(now(day), &mut rng, &answer).expect("accepted");
        constant(request, &frame);
        constant(response, &answer);
    }
    text
}

fn certify(host_key: &SigningKey, root_key: &SigningKey) -> Certificate {
    let claims = Claims {
        public_key: host_key.public_key(),
        serial: 1,
        not_before: EpochMinute(0),
        not_after: EpochMinute(u32::MAX),
        root_id: vendor::ROOT_ID,
        coverage: vendor::COVERAGE,
        role: Role::Host,
    };
    let Ok(certificate) = sign_certificate(&claims, root_key);
    certificate
}

fn ask(client: &mut Client<'_>, now: Now, rng: &mut CountingRng) -> Frame {
    loop {
        match client.poll(now, rng) {
            Step::Save | Step::Report(_) => {}
            Step::Send { .. } => return *client.pending_frame().expect("a request"),
            Step::Wait { .. } => panic!("nothing to ask on this day"),
        }
    }
}
