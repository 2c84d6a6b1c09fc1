//! What there is to say of a code or name.

/// What an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Topic {
    /// Codes in answers of hosts and the authority.
    Status,
    /// How this program ends.
    Exit,
    /// States of a client's licence.
    Licence,
    /// Why a host gives no answer.
    Silence,
}

impl Topic {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Exit => "exit",
            Self::Licence => "licence",
            Self::Silence => "silence",
        }
    }

    pub(super) const fn title(self) -> &'static str {
        match self {
            Self::Status => "Status code",
            Self::Exit => "Exit code",
            Self::Licence => "Licence status",
            Self::Silence => "Reason for silence:",
        }
    }

    pub(super) const fn heading(self) -> &'static str {
        match self {
            Self::Status => "Status codes in answers (status:)",
            Self::Exit => "Exit codes of this program (exit:)",
            Self::Licence => "Licence statuses of a client (licence:)",
            Self::Silence => "Why a host gives no answer (silence:)",
        }
    }
}

/// A code or name and what there is to say of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Entry {
    pub(super) topic: Topic,
    pub(super) code: Option<u16>,
    pub(super) name: &'static str,
    /// One sentence.
    pub(super) meaning: &'static str,
    /// The most frequent first.
    pub(super) causes: &'static [&'static str],
    pub(super) advice: &'static [&'static str],
}

pub(super) const fn status(
    code: u16,
    name: &'static str,
    meaning: &'static str,
    causes: &'static [&'static str],
    advice: &'static [&'static str],
) -> Entry {
    Entry { topic: Topic::Status, code: Some(code), name, meaning, causes, advice }
}

pub(super) const fn exit(
    code: u16,
    name: &'static str,
    meaning: &'static str,
    causes: &'static [&'static str],
    advice: &'static [&'static str],
) -> Entry {
    Entry { topic: Topic::Exit, code: Some(code), name, meaning, causes, advice }
}

pub(super) const fn licence(
    code: u16,
    name: &'static str,
    meaning: &'static str,
    causes: &'static [&'static str],
    advice: &'static [&'static str],
) -> Entry {
    Entry { topic: Topic::Licence, code: Some(code), name, meaning, causes, advice }
}

pub(super) const fn silence(
    name: &'static str,
    meaning: &'static str,
    causes: &'static [&'static str],
    advice: &'static [&'static str],
) -> Entry {
    Entry { topic: Topic::Silence, code: None, name, meaning, causes, advice }
}
