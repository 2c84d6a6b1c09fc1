//! Writes the linker's memory map, and the library's test vectors as constants for the firmware.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{env, fs};

use serde_json::Value;

const VECTORS: &str = "../../tests/vectors/protocol-v1.json";

/// The nRF51822 of a micro:bit.
const MEMORY: &str =
    "MEMORY { FLASH : ORIGIN = 0, LENGTH = 256K RAM : ORIGIN = 0x20000000, LENGTH = 16K }\n";

/// Capacity of the tables whose traces the firmware follows.
const CAPACITY: u64 = 50;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it"));
    fs::write(out.join("memory.x"), MEMORY).expect("the output folder can be written");
    fs::write(out.join("vectors.rs"), constants()).expect("the output folder can be written");
    println!("cargo::rustc-link-search={}", out.display());
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={VECTORS}");
}

fn constants() -> String {
    let text = fs::read_to_string(Path::new(VECTORS)).expect("the vectors are in the repository");
    let all: Value = serde_json::from_str(&text).expect("they are JSON");
    let mut out = String::new();
    product(&mut out, &all);
    list(&mut out, "REQUESTS: &[Frame]", &all["requests"], |case| bytes(&case["frame"]));
    list(&mut out, "MALFORMED: &[&[u8]]", &all["malformed_requests"], |case| {
        format!("&{}", bytes(&case["frame"]))
    });
    list(&mut out, "BAD_TAGS: &[Frame]", &all["bad_tags"], bytes);
    list(&mut out, "EXCHANGES: &[Exchange]", &all["exchanges"], |case| {
        let (request, response) = (bytes(&case["request"]), bytes(&case["response"]));
        let expect = &case["expect"];
        format!("Exchange {{ request: {request}, response: &{response}, expect: {expect} }}")
    });
    let traces = all["table_traces"].as_array().expect("a list");
    let fitting = traces.iter().filter(|trace| trace["capacity"] == CAPACITY).cloned().collect();
    list(&mut out, "TRACES: &[Trace]", &Value::Array(fitting), trace);
    out
}

fn product(out: &mut String, all: &Value) {
    let product = &all["product"];
    for (name, field) in [
        ("APPLICATION_ID", "application_id"),
        ("ACTIVATION_ID", "activation_id"),
        ("COUNTED_ID", "counted_id"),
        ("TAG_KEY", "tag_key"),
    ] {
        let bytes = bytes(&product[field]);
        let length = if name == "TAG_KEY" { 32 } else { 16 };
        writeln!(out, "pub const {name}: [u8; {length}] = {bytes};").expect("a string");
    }
    for field in ["family", "rank", "generation", "threshold"] {
        let kind = if field == "threshold" {
            "u32"
        } else if field == "family" {
            "u16"
        } else {
            "u8"
        };
        let name = field.to_uppercase();
        writeln!(out, "pub const {name}: {kind} = {};", product[field]).expect("a string");
    }
    let roots = all["roots"].as_object().expect("a map");
    let roots = roots.iter().map(|(id, pair)| format!("({id}, {})", bytes(&pair["public"])));
    let roots: Vec<String> = roots.collect();
    let (count, roots) = (roots.len(), roots.join(", "));
    writeln!(out, "pub const ROOTS: [(u16, [u8; 32]); {count}] = [{roots}];").expect("a string");
}

fn trace(trace: &Value) -> String {
    let steps = trace["steps"].as_array().expect("a list").iter().map(|step| {
        format!(
            "Step {{ at: {}, cmid: {}, required: {}, fingerprint: {}, previous: {}, count: {}, \
             limit: {}, duplicate: {} }}",
            step["at"],
            bytes(&step["cmid"]),
            step["required"],
            bytes(&step["fingerprint"]),
            bytes(&step["previous"]),
            step["count"],
            step["limit"],
            step["duplicate"]
        )
    });
    let steps: Vec<String> = steps.collect();
    format!(
        "Trace {{ weights: {}, tolerance: {}, steps: &[{}] }}",
        trace["weights"],
        trace["tolerance"],
        steps.join(", ")
    )
}

/// A constant slice with an item for each case; a section without any would prove nothing.
fn list(out: &mut String, signature: &str, cases: &Value, item: impl Fn(&Value) -> String) {
    let cases = cases.as_array().expect("a list");
    assert!(!cases.is_empty(), "no cases for {signature}");
    let items: Vec<String> = cases.iter().map(item).collect();
    writeln!(out, "pub const {signature} = &[{}];", items.join(", ")).expect("a string");
}

/// Hex, with or without hyphens, as an array.
fn bytes(hex: &Value) -> String {
    let digits: Vec<u32> = hex
        .as_str()
        .expect("a text")
        .chars()
        .filter(|character| *character != '-')
        .map(|character| character.to_digit(16).expect("hex"))
        .collect();
    let (pairs, odd) = digits.as_chunks::<2>();
    assert!(odd.is_empty(), "half a byte");
    format!("{:?}", pairs.iter().map(|[high, low]| high << 4 | low).collect::<Vec<u32>>())
}
