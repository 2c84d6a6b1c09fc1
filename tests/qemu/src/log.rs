//! The firmware's log: defmt's frames from QEMU's standard output, as text.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock};
use std::thread::JoinHandle;

use defmt_decoder::{DecodeError, Table};

/// The lines so far, and the thread that adds to them until the stream ends.
#[derive(Debug)]
pub(crate) struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    reader: Option<JoinHandle<()>>,
}

impl Log {
    /// Of the firmware that was built from this ELF file.
    pub(crate) fn read(elf: &Path, stream: impl Read + Send + 'static) -> Self {
        let table = table(elf);
        let lines = Arc::new(Mutex::new(Vec::new()));
        let place = lines.clone();
        let reader = std::thread::spawn(move || decode(table, stream, &place));
        Self { lines, reader: Some(reader) }
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.lines.lock().unwrap().clone()
    }

    /// All lines, once the firmware has ended.
    pub(crate) fn whole(&mut self) -> Vec<String> {
        if let Some(reader) = self.reader.take() {
            reader.join().expect("a log that can be decoded");
        }
        self.lines()
    }
}

/// What the text of the log is made from: large, and the same for all runs of a firmware.
fn table(elf: &Path) -> &'static Table {
    static TABLES: [OnceLock<Table>; 2] = [const { OnceLock::new() }; 2];
    let which = usize::from(elf.ends_with("host"));
    TABLES[which].get_or_init(|| {
        let bytes = std::fs::read(elf).unwrap_or_else(|error| panic!("{}: {error}", elf.display()));
        Table::parse(&bytes).unwrap().expect("the firmware has a table of its log's texts")
    })
}

fn decode(table: &Table, mut stream: impl Read, lines: &Mutex<Vec<String>>) {
    let mut decoder = table.new_stream_decoder();
    let mut bytes = [0; 4_096];
    loop {
        match stream.read(&mut bytes) {
            Ok(0) => return,
            Ok(length) => decoder.received(&bytes[..length]),
            Err(error) => panic!("the log: {error}"),
        }
        loop {
            match decoder.decode() {
                Ok(frame) => {
                    let level = frame.level().map_or("", |level| level.as_str());
                    let line = format!("{} {}", level.to_uppercase(), frame.display_message());
                    lines.lock().unwrap().push(line);
                }
                Err(DecodeError::UnexpectedEof) => break,
                // Of what a power cut left.
                Err(DecodeError::Malformed) => {}
            }
        }
    }
}
