//! What a run is told: `name=value` words. They stand for switches, fuses and configuration that a
//! product has elsewhere.

use core::str::FromStr;

use heapless::Vec;

/// The words of a command line.
#[derive(Clone, Copy)]
pub struct Arguments<'a> {
    line: &'a str,
}

/// An argument is wrong: this one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, defmt::Format)]
pub enum Wrong<'a> {
    /// Not one of the names that the firmware knows, or no `name=value`.
    Unknown(&'a str),
    /// Its value cannot be understood.
    Value(&'a str),
    /// It must be given.
    Missing(&'a str),
}

impl<'a> Arguments<'a> {
    /// Takes a command line apart: the firmware's name, then its arguments.
    ///
    /// # Errors
    ///
    /// A word is not `name=value` with one of these names: better no run than one that was meant
    /// otherwise.
    pub fn parse(line: &'a str, names: &[&str]) -> Result<Self, Wrong<'a>> {
        let arguments = Self { line };
        let is_known =
            |word: &&str| word.split_once('=').is_some_and(|(name, _)| names.contains(&name));
        match arguments.words().find(|word| !is_known(word)) {
            None => Ok(arguments),
            Some(word) => Err(Wrong::Unknown(word)),
        }
    }

    /// The value of an argument as it was given, of the last one when there are several.
    pub fn text(&self, name: &str) -> Option<&'a str> {
        let pairs = self.words().filter_map(|word| word.split_once('='));
        pairs.filter(|(given, _)| *given == name).last().map(|(_, value)| value)
    }

    /// The value of an argument that can be left out.
    pub fn value<T: FromStr>(&self, name: &'a str) -> Result<Option<T>, Wrong<'a>> {
        self.text(name).map(|text| text.parse().map_err(|_| Wrong::Value(name))).transpose()
    }

    /// The values of an argument that has up to `N` of them, separated by commas; none when it is left
    /// out.
    pub fn list<T: FromStr, const N: usize>(&self, name: &'a str) -> Result<Vec<T, N>, Wrong<'a>> {
        let mut values = Vec::new();
        for text in self.text(name).into_iter().flat_map(|list| list.split(',')) {
            let value = text.parse().map_err(|_| Wrong::Value(name))?;
            values.push(value).map_err(|_| Wrong::Value(name))?;
        }
        Ok(values)
    }

    fn words(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.line.split_ascii_whitespace().skip(1)
    }
}

/// Hexadecimal digits as bytes: exactly as many as there is place for.
pub fn from_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if pairs.len() != N || !rest.is_empty() {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        *byte = (high? << 4 | low?) as u8;
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_names_only() {
        let parse = |line| Arguments::parse(line, &["a", "b"]).map(|arguments| arguments.text("a"));
        assert_eq!(parse("firmware"), Ok(None));
        assert_eq!(parse("firmware b=1 a=2=3"), Ok(Some("2=3")));
        assert_eq!(parse("firmware a=1 a=2"), Ok(Some("2")));
        assert_eq!(parse("firmware a=1 c=2"), Err(Wrong::Unknown("c=2")));
        assert_eq!(parse("firmware a"), Err(Wrong::Unknown("a")));
    }

    #[test]
    fn values_have_a_type() {
        let arguments = Arguments::parse("firmware a=7 b=x", &["a", "b"]).unwrap();
        assert_eq!(arguments.value::<u8>("a"), Ok(Some(7)));
        assert_eq!(arguments.value::<u8>("b"), Err(Wrong::Value("b")));
        assert_eq!(arguments.value::<u8>("c"), Ok(None));
    }

    #[test]
    fn lists_have_room_for_so_many() {
        let arguments = Arguments::parse("firmware a=7,8 b=7,", &["a", "b"]).unwrap();
        assert_eq!(arguments.list::<u8, 2>("a").as_deref(), Ok(&[7, 8][..]));
        assert_eq!(arguments.list::<u8, 1>("a"), Err(Wrong::Value("a")));
        assert_eq!(arguments.list::<u8, 2>("b"), Err(Wrong::Value("b")));
        assert_eq!(arguments.list::<u8, 2>("c").as_deref(), Ok(&[][..]));
    }

    #[test]
    fn hex_is_whole_or_nothing() {
        assert_eq!(from_hex("00fFA5"), Some([0, 0xff, 0xa5]));
        assert_eq!(from_hex::<3>("00ff"), None);
        assert_eq!(from_hex::<3>("00ffa"), None);
        assert_eq!(from_hex::<1>("0g"), None);
    }
}
