//! `headcount explain`: what a code or a name in an answer, a log or a script means.

mod entry;
mod table;

use std::fmt::Write as _;

use clap::Args;
use serde_json::{Value, json};

use crate::output::{Exit, Output, Problem};
use entry::{Entry, Topic};
use table::ENTRIES;

const EXAMPLES: &str = "\
Examples:
  headcount explain 3             status code 3 and exit code 3
  headcount explain exit:3        only the exit code
  headcount explain clock_skew    by name
  headcount explain silence:      all reasons for silence
  headcount explain               everything, a line each

Topics: status (codes in answers), exit (of this program), licence (states of a client),
silence (why a host does not answer; in its log and 'headcount host status').";

/// Say what a status code, exit code, licence status or reason for silence means.
///
/// Tells what usually causes it, the most frequent cause first, and what to do.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// A number, a name, or either after 'status:', 'exit:', 'licence:' or 'silence:'.
    code: Option<String>,
}

pub(crate) fn run(arguments: &Arguments, output: Output) -> Result<Exit, Problem> {
    let Some(code) = &arguments.code else {
        output.line(list(ENTRIES.iter()));
        output.document(&document(ENTRIES.iter()));
        return Ok(Exit::Done);
    };
    let found = look_up(code);
    if found.is_empty() {
        return Err(Problem::new(Exit::Usage, format!("there is no code or name \"{code}\""))
            .advise("'headcount explain' without a code lists all of them"));
    }
    let texts: Vec<String> = found.iter().map(|entry| text(entry)).collect();
    output.line(texts.join("\n\n"));
    output.document(&document(found.into_iter()));
    Ok(Exit::Done)
}

/// The entries that a number or name means, within the topic it is preceded by, if it is.
fn look_up(query: &str) -> Vec<&'static Entry> {
    let query = query.trim().to_lowercase().replace([' ', '-'], "_");
    let (topic, code) = match query.split_once(':') {
        Some((topic, code)) => (Some(topic), code.trim_matches('_')),
        None => (None, query.as_str()),
    };
    let number = code.parse::<u16>().ok();
    let is_meant = |entry: &&Entry| match topic {
        Some(topic) if topic != entry.topic.name() => false,
        Some(_) if code.is_empty() => true,
        None if entry.topic == Topic::Licence => entry.name == code,
        _ => entry.name == code || number.is_some() && number == entry.code,
    };
    ENTRIES.iter().filter(is_meant).collect()
}

fn text(entry: &Entry) -> String {
    let mut text = format!("{}\n  {}", title(entry), entry.meaning);
    for (heading, lines) in [("Causes", entry.causes), ("What to do", entry.advice)] {
        if !lines.is_empty() {
            let _ = write!(text, "\n  {heading}:");
        }
        for line in lines {
            let _ = write!(text, "\n  - {line}");
        }
    }
    text
}

fn title(entry: &Entry) -> String {
    match entry.code {
        Some(code) => format!("{} {code}, {}", entry.topic.title(), entry.name),
        None => format!("{} {}", entry.topic.title(), entry.name),
    }
}

fn list(entries: impl Iterator<Item = &'static Entry>) -> String {
    let mut text = String::new();
    let mut topic: Option<Topic> = None;
    for entry in entries {
        if topic != Some(entry.topic) {
            let gap = if topic.is_some() { "\n" } else { "" };
            let _ = writeln!(text, "{gap}{}:", entry.topic.heading());
            topic = Some(entry.topic);
        }
        let code = entry.code.map(|code| code.to_string()).unwrap_or_default();
        let _ = writeln!(text, "{code:>5}  {:<22}  {}", entry.name, entry.meaning);
    }
    text + "\n'headcount explain CODE' tells the causes of one and what to do."
}

fn document(entries: impl Iterator<Item = &'static Entry>) -> Value {
    let entries: Vec<Value> = entries
        .map(|Entry { topic, code, name, meaning, causes, advice }| {
            json!({
                "topic": topic.name(),
                "code": code,
                "name": name,
                "meaning": meaning,
                "causes": causes,
                "advice": advice,
            })
        })
        .collect();
    json!({ "entries": entries })
}

#[cfg(test)]
mod tests {
    use headcount::host::Silence;
    use headcount::wire::{LicenceStatus, Refusal};

    use super::*;

    fn names(query: &str) -> Vec<String> {
        let found = look_up(query);
        found.iter().map(|entry| format!("{}:{}", entry.topic.name(), entry.name)).collect()
    }

    #[test]
    fn a_number_means_both_and_a_topic_means_one() {
        assert_eq!(names("3"), ["status:clock_skew", "exit:below_threshold"]);
        assert_eq!(names("exit:3"), ["exit:below_threshold"]);
        assert_eq!(names("STATUS: 3"), ["status:clock_skew"]);
        assert_eq!(names("licence:5"), ["licence:notification"]);
        assert_eq!(names("130"), ["exit:interrupted"]);
        assert_eq!(names("unknown-key"), ["status:unknown_key", "silence:unknown_key"]);
        assert_eq!(names("Initial Grace"), ["licence:initial_grace"]);
        assert_eq!(names("silence:").len(), 7);
        assert!(names("9").is_empty() && names("nonsense:").is_empty() && names("").is_empty());
    }

    fn entries(topic: Topic) -> Vec<(Option<u16>, &'static str)> {
        let of_topic = ENTRIES.iter().filter(|entry| entry.topic == topic);
        of_topic.map(|entry| (entry.code, entry.name)).collect()
    }

    #[test]
    fn every_status_code_is_explained() {
        let refusals = Refusal::ALL.iter().map(|refusal| (Some(refusal.code()), refusal.name()));
        let expected: Vec<_> = [(Some(0), "success")].into_iter().chain(refusals).collect();
        assert_eq!(entries(Topic::Status), expected);
    }

    #[test]
    fn every_exit_code_is_explained() {
        let next = |exit| match exit {
            Exit::Done => Some(Exit::Failed),
            Exit::Failed => Some(Exit::Usage),
            Exit::Usage => Some(Exit::BelowThreshold),
            Exit::BelowThreshold => Some(Exit::Refused),
            Exit::Refused => Some(Exit::NobodyAnswered),
            Exit::NobodyAnswered => Some(Exit::NotTrusted),
            Exit::NotTrusted => Some(Exit::Damaged),
            Exit::Damaged => Some(Exit::Interrupted),
            // A new code makes this match incomplete, and belongs before this line.
            Exit::Interrupted => None,
        };
        let all = std::iter::successors(Some(Exit::Done), |exit| next(*exit));
        let expected: Vec<_> = all.map(|exit| (Some(exit as u16), exit.name())).collect();
        assert_eq!(entries(Topic::Exit), expected);
    }

    #[test]
    fn clocks_far_apart_are_a_refusal_and_no_matter_of_trust() {
        let causes = |code: &str| look_up(code)[0].causes.concat();
        assert!(causes("exit:4").contains("clocks are more than 240 minutes apart"));
        assert!(!causes("exit:6").contains("240 minutes"));
    }

    #[test]
    fn every_licence_status_is_explained() {
        let all = LicenceStatus::ALL.iter();
        let expected: Vec<_> = all.map(|status| (Some(*status as u16), status.name())).collect();
        assert_eq!(entries(Topic::Licence), expected);
    }

    #[test]
    fn every_reason_for_silence_is_explained() {
        let expected: Vec<_> = Silence::NAMES.iter().map(|name| (None, *name)).collect();
        assert_eq!(entries(Topic::Silence), expected);
    }

    #[test]
    fn every_trouble_has_a_cause_and_advice() {
        for entry in ENTRIES.iter().filter(|entry| entry.topic != Topic::Exit) {
            assert!(!entry.meaning.is_empty() && !entry.advice.is_empty(), "{}", entry.name);
        }
        for Entry { name, causes, advice, .. } in ENTRIES {
            for line in causes.iter().chain(*advice) {
                assert!(line.ends_with('.'), "{name}: {line}");
            }
        }
    }
}
