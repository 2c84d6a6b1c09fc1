//! Writes the seed corpora from the files of test vectors:
//! `cargo run --example seeds -- ../tests/vectors/protocol-v1.json ../tests/phone/vectors.json corpus`

use std::error::Error;
use std::path::Path;
use std::{env, fs};

use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [vectors, phone, corpus] = arguments.as_slice() else {
        return Err("usage: seeds VECTORS.json PHONE_VECTORS.json CORPUS".into());
    };
    let mut vectors: Value = serde_json::from_str(&fs::read_to_string(vectors)?)?;
    let mut phone: Value = serde_json::from_str(&fs::read_to_string(phone)?)?;
    for section in ["machines", "hosts"] {
        vectors[format!("phone_{section}")] = phone[section].take();
    }
    let texts = |section: &str, key: &str| -> Vec<String> {
        let cases = vectors[section].as_array().into_iter().flatten();
        let texts = cases.map(|case| case.get(key).unwrap_or(case));
        texts.filter_map(|text| text.as_str().map(str::to_owned)).collect()
    };
    let frames = |sections: &[(&str, &str)]| -> Vec<Vec<u8>> {
        let texts = sections.iter().flat_map(|(section, key)| texts(section, key));
        texts.filter_map(|text| from_hex(&text)).collect()
    };
    let words = |sections: &[(&str, &str)]| -> Vec<Vec<u8>> {
        sections.iter().flat_map(|(section, key)| texts(section, key)).map(String::into).collect()
    };
    let seeds = [
        (
            "request",
            frames(&[("requests", "frame"), ("malformed_requests", "frame"), ("bad_tags", "")]),
        ),
        ("response", frames(&[("exchanges", "response")])),
        ("enrolment", frames(&[("enrolments", "request"), ("enrolments", "response")])),
        (
            "product_key",
            words(&[
                ("product_keys", "text"),
                ("bad_product_keys", ""),
                ("hosts", "host_id"),
                ("fingerprints", "application_id"),
            ]),
        ),
        (
            "phone",
            words(&[
                ("phone_machines", "installation"),
                ("phone_machines", "confirmation"),
                ("phone_hosts", "installation"),
                ("phone_hosts", "confirmation"),
            ]),
        ),
    ];
    for (target, seeds) in seeds {
        let folder = Path::new(corpus).join(target);
        fs::create_dir_all(&folder)?;
        for (index, seed) in seeds.iter().enumerate() {
            fs::write(folder.join(format!("vector-{index:02}")), seed)?;
        }
        println!("{target}: {} seeds", seeds.len());
    }
    Ok(())
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let byte = |pair: &[u8; 2]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    if rest.is_empty() { pairs.iter().map(byte).collect() } else { None }
}
