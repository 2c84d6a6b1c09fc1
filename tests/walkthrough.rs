//! The walk-through of the documentation, run as it is printed: every command in order, and what the
//! page shows under a command must be what that prints.
#![cfg(all(feature = "cli", unix))]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::Path;
use std::process::{Command, Stdio};

const PAGE: &str = include_str!("../docs/walkthrough.md");

/// Printed between the blocks, so that each one's output can be told from the next one's.
const MARK: &str = "@@ block";

/// A fenced block of commands, and what the page shows under it.
#[derive(Default)]
struct Block {
    commands: String,
    shown: Vec<String>,
}

/// The blocks of a page, in order.
fn blocks(page: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = Vec::new();
    let mut fence = None;
    for line in page.lines() {
        match (line.strip_prefix("```"), fence) {
            (Some(kind), None) => {
                fence = Some(kind);
                if kind == "sh" {
                    blocks.push(Block::default());
                }
            }
            (Some(_), Some(_)) => fence = None,
            (None, Some("sh")) => {
                let block = blocks.last_mut().unwrap();
                block.commands += line;
                block.commands.push('\n');
            }
            (None, Some(_)) => {
                let block = blocks.last_mut().expect("output is shown under a command");
                block.shown.push(line.to_owned());
            }
            (None, None) => {}
        }
    }
    blocks
}

/// Whether a line is as the page shows it, where `…` stands for anything.
fn is_like(line: &str, shown: &str) -> bool {
    let mut parts = shown.split('…');
    let first = parts.next().unwrap();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let mut ends_open = false;
    for part in parts {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
        ends_open = part.is_empty();
    }
    rest.is_empty() || ends_open
}

#[test]
fn lines_are_compared_but_for_what_differs() {
    for (line, shown, like) in [
        ("Enrolled.", "Enrolled.", true),
        ("Enrolled. Twice.", "Enrolled.", false),
        ("Root key 1: 00ff", "Root key 1: …", true),
        ("it counts 1 machine, needs 2", "… counts 1 machine…", true),
        ("it counts 2 machines", "… counts 1 machine…", false),
        ("a b c", "a … c", true),
        ("a b c d", "a … c", false),
    ] {
        assert_eq!(is_like(line, shown), like, "{line:?} {shown:?}");
    }
}

#[test]
fn the_walk_through_does_what_it_says() {
    let folder = tempfile::tempdir().unwrap();
    let blocks = blocks(PAGE);
    assert!(blocks.len() >= 12, "{} blocks", blocks.len());
    // Whatever fails, the services that the page starts are ended with the shell.
    let mut script = "set -eu\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n".to_owned();
    for block in &blocks {
        script.extend([&*block.commands, "echo '", MARK, "'\n"]);
    }
    let program = Path::new(env!("CARGO_BIN_EXE_headcount")).parent().unwrap();
    let path = std::env::var("PATH").unwrap_or_default();
    let output = Command::new("timeout")
        .args(["300", "bash", "-c", &format!("exec 2>&1\n{script}")])
        .current_dir(folder.path())
        .env("PATH", format!("{}:{path}", program.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{:?}\n{printed}", output.status);
    let printed: Vec<_> = printed.split(MARK).collect();
    assert_eq!(printed.len(), blocks.len() + 1, "{printed:?}");
    for (block, printed) in blocks.iter().zip(printed) {
        let mut lines = printed.lines();
        for shown in &block.shown {
            let found = lines.any(|line| is_like(line, shown));
            assert!(found, "{shown:?} is not what this prints:\n{}\n{printed}", block.commands);
        }
    }
}
