//! The protocol's test vectors, made by another implementation: see `tests/vectors/README.md`.
//!
//! `HEADCOUNT_VECTORS` names a file, or a folder whose `*.json` are all run, in place of the copy
//! in this repository. Every case is run, and all that fail are listed with their section and
//! index.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::{env, fs, thread};

use serde::de::DeserializeOwned;
use serde_json::Value;

use self::check::{Checked, Vendor};
use self::form::{Hex, Product, Roots};

#[path = "vectors/check.rs"]
mod check;
#[path = "vectors/form.rs"]
mod form;
#[path = "vectors/trace.rs"]
mod trace;

const COPY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/protocol-v1.json");

/// Everything a file may hold; `seed` only says how it was made.
const SECTIONS: [&str; 15] = [
    "protocol",
    "seed",
    "authority_master",
    "product_keys",
    "bad_product_keys",
    "roots",
    "hosts",
    "product",
    "fingerprints",
    "requests",
    "malformed_requests",
    "bad_tags",
    "exchanges",
    "enrolments",
    "table_traces",
];

#[test]
fn every_vector_holds() {
    let files = match env::var_os("HEADCOUNT_VECTORS") {
        Some(path) => json_files(Path::new(&path)),
        None => vec![PathBuf::from(COPY)],
    };
    let mut failures = Vec::new();
    for path in files {
        let text = fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
        // Large tables are built on the stack first.
        let run = thread::Builder::new().stack_size(1 << 26).spawn(move || File::run(&text));
        let file = run.unwrap().join().unwrap();
        println!("{}: {}", path.display(), file.summary);
        let failed = file.failures.into_iter();
        failures.extend(failed.map(|failure| format!("{}: {failure}", path.display())));
    }
    assert!(failures.is_empty(), "{} failed:\n{}", failures.len(), failures.join("\n"));
}

fn json_files(path: &Path) -> Vec<PathBuf> {
    if !path.is_dir() {
        return vec![path.to_owned()];
    }
    let entries = fs::read_dir(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(!files.is_empty(), "HEADCOUNT_VECTORS: no *.json in {}", path.display());
    files
}

/// One file on its way through the checks.
#[derive(Default)]
struct File {
    sections: BTreeMap<String, Value>,
    failures: Vec<String>,
    summary: String,
}

impl File {
    fn run(text: &str) -> Self {
        let mut file = Self::default();
        match serde_json::from_str(text) {
            Ok(sections) => file.sections = sections,
            Err(why) => file.failures.push(format!("not an object of sections: {why}")),
        }
        file.all_sections_are_known();
        file.check_sections();
        if file.summary.is_empty() {
            file.failures.push("it holds no cases".into());
        }
        file
    }

    fn all_sections_are_known(&mut self) {
        for name in self.sections.keys().filter(|name| !SECTIONS.contains(&name.as_str())) {
            self.failures.push(format!("section {name} is not covered by this test"));
        }
        for name in SECTIONS.into_iter().filter(|name| !self.sections.contains_key(*name)) {
            println!("section {name} is missing from the file");
        }
    }

    fn check_sections(&mut self) {
        if self.whole::<u32>("protocol").is_some_and(|version| version != 1) {
            self.failures.push("section protocol: vectors of another version".into());
        }
        let master = self.whole::<Hex<32>>("authority_master");
        self.cases("product_keys", |case| check::product_key(case, master));
        self.cases("bad_product_keys", |text: &String| check::bad_product_key(text));
        let hosts = self.cases("hosts", check::host);
        self.cases("fingerprints", check::fingerprint_of);

        let roots = self.whole::<Roots>("roots").unwrap_or_default();
        self.each("roots", &roots.iter().collect::<Vec<_>>(), |(id, pair)| {
            check::root(**id, pair).map(drop)
        });
        let vendor = Vendor::new(roots, &hosts);

        let product = self.whole::<Product>("product");
        self.each("product", product.as_slice(), check::product_itself);
        let product = product.ok_or_else(|| String::from("the file has no product"));
        let product = product.as_ref().map_err(Clone::clone);
        self.cases("requests", |case| check::request(case, product.clone()?));
        self.cases("malformed_requests", check::malformed_request);
        self.cases("bad_tags", |frame| check::bad_tag(frame, product.clone()?));
        self.cases("exchanges", |case| check::exchange(case, product.clone()?, &vendor));
        self.cases("enrolments", |case| check::enrolment(case, &vendor));
        self.cases("table_traces", trace::follow);
    }

    /// Reads a section whole.
    fn whole<T: DeserializeOwned>(&mut self, name: &str) -> Option<T> {
        let value = self.sections.get(name)?.clone();
        let value = serde_json::from_value(value);
        value.map_err(|why| self.failures.push(format!("section {name}: {why}"))).ok()
    }

    /// Reads a section case by case, checks each, and gives back those that could be read.
    fn cases<T: DeserializeOwned>(&mut self, name: &str, check: impl Fn(&T) -> Checked) -> Vec<T> {
        let Some(values) = self.whole::<Vec<Value>>(name) else { return Vec::new() };
        let values = values.into_iter().map(|value| serde_json::from_value::<T>(value));
        let values: Vec<_> = values.collect();
        self.each(name, &values, |case| {
            case.as_ref().map_err(ToString::to_string).and_then(&check)
        });
        values.into_iter().flatten().collect()
    }

    /// Checks each case; one that panics counts as one that fails.
    fn each<T>(&mut self, name: &str, cases: &[T], check: impl Fn(&T) -> Checked) {
        if cases.is_empty() && self.sections.contains_key(name) {
            self.failures.push(format!("section {name} has no case that could be read"));
        }
        for (index, case) in cases.iter().enumerate() {
            let checked = catch_unwind(AssertUnwindSafe(|| check(case)));
            if let Err(why) = checked.unwrap_or_else(|panic| Err(panic_text(&*panic))) {
                self.failures.push(format!("section {name}, case {index}: {why}"));
            }
        }
        if !cases.is_empty() {
            write!(self.summary, "{name} {} ", cases.len()).unwrap();
        }
    }
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    format!("panicked: {:?}", text.or_else(|| panic.downcast_ref::<&str>().copied()))
}
