//! The file of a TSIG key, as `tsig-keygen` writes it and as it stands in BIND's configuration.

use core::fmt;
use std::fs;
use std::path::Path;
use std::string::String;
use std::vec::Vec;

use domain::base::name::ToName;
use domain::tsig::{Algorithm, Key, KeyName};
use domain::utils::base64;
use zeroize::Zeroizing;

use super::super::files::{self, FileError};
use super::name;

/// A TSIG key (RFC 8945). Its secret is wiped on drop and not shown.
#[derive(Clone)]
pub(super) struct TsigKey {
    name: KeyName,
    algorithm: Algorithm,
    secret: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for TsigKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TsigKey({})", self.name)
    }
}

impl TsigKey {
    /// Reads a key from a file that not everybody may read.
    pub(super) fn read(path: &Path) -> Result<Self, FileError> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let metadata = fs::metadata(path);
            let metadata = metadata.map_err(|error| FileError::new(path, "cannot read", error))?;
            if metadata.permissions().mode() & 0o007 != 0 {
                let reason = "every user of this machine may read this key: chmod o= it";
                return Err(FileError::new(path, "cannot use", reason));
            }
        }
        let bytes = Zeroizing::new(files::read(path)?);
        let understood = core::str::from_utf8(&bytes).map_err(|_| "this is no text");
        understood
            .and_then(Self::parse)
            .map_err(|reason| FileError::new(path, "cannot understand", reason))
    }

    /// Reads `key "name" { algorithm hmac-sha256; secret "..."; };`. No error quotes the text.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        const FORM: &str = "one key \"NAME\" { algorithm hmac-sha256; secret \"...\"; }; is expected, \
                            as tsig-keygen writes it";
        let mut words = Words { rest: text };
        let mut next = || words.next();
        if next() != Some("key") {
            return Err(FORM);
        }
        let name = next().ok_or(FORM)?;
        let name = name::parse(name).map_err(|_| "the key's name is none that DNS can have")?;
        let (mut algorithm, mut secret) = (None, None);
        let mut word = if next() == Some("{") { next() } else { return Err(FORM) };
        while let Some(field @ ("algorithm" | "secret")) = word {
            let value = next();
            let place = if field == "secret" { &mut secret } else { &mut algorithm };
            if place.is_some() || next() != Some(";") {
                return Err(FORM);
            }
            (*place, word) = (value, next());
        }
        let end = next();
        if word != Some("}") || !matches!(end, Some(";") | None) || next().is_some() {
            return Err(FORM);
        }
        let algorithm = match algorithm.ok_or(FORM)?.to_ascii_lowercase().as_str() {
            "hmac-sha256" => Algorithm::Sha256,
            "hmac-sha384" => Algorithm::Sha384,
            "hmac-sha512" => Algorithm::Sha512,
            _ => return Err("the algorithm must be hmac-sha256, hmac-sha384 or hmac-sha512"),
        };
        let secret = base64::decode::<Vec<u8>>(secret.ok_or(FORM)?).map(Zeroizing::new);
        let secret = secret.map_err(|_| "the secret is not base64")?;
        if secret.is_empty() {
            return Err("the secret is empty");
        }
        let name = name.try_to_name().map_err(|_| FORM)?;
        Ok(Self { name, algorithm, secret })
    }

    /// The key's name.
    pub(super) fn name(&self) -> String {
        std::format!("{}", self.name)
    }

    /// The key for one exchange. What is made of the secret in it is not wiped, so it should not live
    /// longer than that.
    pub(super) fn for_exchange(&self) -> Option<Key> {
        // Only bounds of the length of signatures can be wrong, and none are given.
        Key::new(self.algorithm, &self.secret, self.name.clone(), None, None).ok()
    }
}

/// Words, texts in quotes and punctuation, without comments.
struct Words<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Words<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        loop {
            self.rest = self.rest.trim_start();
            let comment = [("//", "\n"), ("#", "\n"), ("/*", "*/")];
            let end = comment.iter().find(|(start, _)| self.rest.starts_with(start));
            let Some((_, end)) = end else { break };
            self.rest = self.rest.split_once(end).map_or("", |(_, rest)| rest);
        }
        if let Some(quoted) = self.rest.strip_prefix('"') {
            let (text, rest) = quoted.split_once('"')?;
            self.rest = rest;
            return Some(text);
        }
        let is_punctuation = |c: char| matches!(c, '{' | '}' | ';');
        let length = match self.rest.chars().next()? {
            c if is_punctuation(c) => c.len_utf8(),
            _ => self
                .rest
                .find(|c: char| is_punctuation(c) || c == '"' || c.is_whitespace())
                .unwrap_or(self.rest.len()),
        };
        let (word, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use std::string::ToString;

    use super::*;

    const SECRET: &str = "c2VjcmV0IHNlY3JldCBzZWNyZXQgc2VjcmV0IHNlY3I=";

    #[test]
    fn the_form_of_tsig_keygen_is_read() {
        let written = std::format!(
            "key \"Host.Example\" {{\n\talgorithm hmac-sha256;\n\tsecret \"{SECRET}\";\n}};\n"
        );
        let terse = std::format!(
            "#x\nkey host.example{{secret {SECRET};/* y */algorithm HMAC-SHA256;}} // z"
        );
        for text in [written, terse] {
            let key = TsigKey::parse(&text).unwrap();
            assert_eq!(key.name(), "host.example");
            assert_eq!(key.algorithm, Algorithm::Sha256);
            assert_eq!(key.secret.as_slice(), b"secret secret secret secret secr");
            assert!(key.for_exchange().is_some());
            assert_eq!(std::format!("{key:?}"), "TsigKey(host.example)");
        }
    }

    #[test]
    fn anything_else_is_refused_and_not_quoted() {
        for (text, reason) in [
            ("", "is expected"),
            ("key", "is expected"),
            ("key a {", "is expected"),
            ("key a { algorithm hmac-sha256; };", "is expected"),
            ("key a { secret \"c2Vj\"; };", "is expected"),
            ("key a { algorithm hmac-sha256; secret \"c2Vj\"; secret \"c2Vj\"; };", "is expected"),
            ("key a { algorithm hmac-sha256; secret \"c2Vj\"; }; key", "is expected"),
            ("key a { algorithm hmac-sha256; secret \"c2Vj", "is expected"),
            ("key a { algorithm hmac-md5; secret \"c2Vj\"; };", "must be hmac-sha256"),
            ("key a { algorithm hmac-sha256; secret \"c2V\"; };", "not base64"),
            ("key a { algorithm hmac-sha256; secret \"\"; };", "empty"),
            ("key \"a b\" { algorithm hmac-sha256; secret \"c2Vj\"; };", "none that DNS can have"),
            ("/* key", "is expected"),
        ] {
            let error = TsigKey::parse(text).unwrap_err();
            assert!(error.contains(reason) && !error.contains("c2V"), "{text}: {error}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn a_key_that_everybody_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let path = std::env::temp_dir().join(std::format!("headcount-key-{}", std::process::id()));
        let text = std::format!("key a {{ algorithm hmac-sha256; secret \"{SECRET}\"; }};");
        fs::write(&path, text).unwrap();
        let read = |mode| {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            TsigKey::read(&path).map(|key| key.name())
        };
        let (open, closed) = (read(0o644), [read(0o600), read(0o640)]);
        fs::remove_file(&path).unwrap();
        assert!(open.unwrap_err().to_string().contains("may read this key"));
        for name in closed {
            assert_eq!(name.unwrap(), "a");
        }
    }
}
