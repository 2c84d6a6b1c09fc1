//! Numbers that people read to each other: groups of digits, shown and typed in.

use std::borrow::Cow;
use std::io::{BufRead, IsTerminal, Write};

use headcount::phone::{GROUP_DIGITS, Group, InvalidGroup, check_group};

use crate::output::{Exit, Output, Problem};

/// Groups in a row of the terminal.
const IN_A_ROW: usize = 4;

/// Shows a number, each group with its place.
pub(crate) fn show(groups: &[Group], output: Output) {
    let places: Vec<_> =
        groups.iter().zip(1..).map(|(group, place)| format!("{place:>4}: {group}")).collect();
    for row in places.chunks(IN_A_ROW) {
        output.line(format_args!("  {}", row.join("")));
    }
}

/// Reads a number of `N` groups: those of the command line, else from standard input. At a terminal
/// each group is asked for, and asked for again when it is not as it was read out.
pub(crate) fn read<const N: usize>(given: &[String]) -> Result<[Group; N], Problem> {
    let mut typed = Typed(Vec::new());
    if !given.is_empty() {
        typed.take(N, &given.join(" ")).map_err(wrong)?;
        return typed.whole();
    }
    let stdin = std::io::stdin();
    let asks = stdin.is_terminal();
    while typed.0.len() < N {
        if asks {
            let place = typed.0.len().saturating_add(1);
            // On standard error: what is printed on the other is for machines, too.
            let mut stderr = std::io::stderr().lock();
            let _ = write!(stderr, "Group {place} of {N}: ").and_then(|()| stderr.flush());
        }
        let mut line = String::new();
        let length = stdin.lock().read_line(&mut line);
        let length = length
            .map_err(|error| Problem::new(Exit::Failed, format!("cannot read it: {error}")))?;
        if length == 0 {
            break;
        }
        match typed.take(N, &line) {
            Err(invalid) if asks => {
                let _ = writeln!(std::io::stderr(), "  {invalid}");
            }
            taken => taken.map_err(wrong)?,
        }
    }
    typed.whole()
}

/// The groups so far.
struct Typed(Vec<Group>);

impl Typed {
    /// Takes the groups of a text, which stand where those before it end. Those before a wrong one
    /// are kept.
    fn take(&mut self, most: usize, text: &str) -> Result<(), InvalidGroup> {
        let separated = text.split(is_separator).filter(|part| !part.is_empty());
        let parts: Vec<Cow<'_, str>> = if self.are_groups(most, separated.clone()) {
            separated.map(Cow::Borrowed).collect()
        } else {
            let digits: Vec<char> = separated.flat_map(str::chars).collect();
            digits.chunks(GROUP_DIGITS).map(|group| group.iter().copied().collect()).collect()
        };
        for part in parts {
            let group = check_group(self.0.len(), &part)?;
            // Too many are told apart by their number.
            if self.0.len() <= most {
                self.0.push(group);
            }
        }
        Ok(())
    }

    /// Whether the parts of a text are the groups that are missing, with a digit too few or too many
    /// at most: it is told where it is then, and not in a group that follows.
    fn are_groups<'t>(
        &self,
        most: usize,
        mut parts: impl Iterator<Item = &'t str> + Clone,
    ) -> bool {
        self.0.len().saturating_add(parts.clone().count()) == most
            && parts.all(|part| part.chars().count().abs_diff(GROUP_DIGITS) <= 1)
    }

    fn whole<const N: usize>(self) -> Result<[Group; N], Problem> {
        let found = self.0.len();
        self.0.try_into().map_err(|_| {
            let found = if found > N { "more".into() } else { format!("only {found}") };
            Problem::new(Exit::Usage, format!("{found} groups of digits, there are {N}"))
                .advise("Read them out to each other again, from the first one.")
        })
    }
}

const fn is_separator(character: char) -> bool {
    character == '-' || character.is_whitespace()
}

fn wrong(invalid: InvalidGroup) -> Problem {
    Problem::new(Exit::Usage, invalid).advise("Have this group read out again.")
}

#[cfg(test)]
mod tests {
    use headcount::phone::GroupFault;

    use super::*;

    /// The first groups of some number, with their check digits.
    const GROUPS: [&str; 3] = ["0578963", "0446424", "3034528"];

    #[test]
    fn groups_stand_on_lines_of_any_length_and_those_before_a_wrong_one_are_kept() {
        for lines in [
            &["0578963", "0446424", "3034528"][..],
            &["0578963-0446424 3034528\n"],
            &["  057 8963\t0446424", "", "3034528"],
        ] {
            let mut typed = Typed(Vec::new());
            for line in lines {
                typed.take(3, line).unwrap();
            }
            let groups: [Group; 3] = typed.whole().unwrap();
            assert_eq!(groups.map(|group| group.to_string()), GROUPS);
        }
        let mut typed = Typed(Vec::new());
        let wrong = typed.take(3, "0578963 0446425 3034528").unwrap_err();
        assert_eq!((wrong.group, typed.0.len()), (2, 1));
        typed.take(3, "0446424 3034528").unwrap();
        assert_eq!(typed.0.len(), 3);
    }

    #[test]
    fn a_digit_too_few_or_too_many_is_told_in_its_own_group() {
        for (place, digits) in [(1, 6), (2, 8), (3, 6)] {
            // Whatever follows would be taken for a part of it by chance, with one digit in ten.
            for digit in '0'..='9' {
                let mut groups = GROUPS.map(str::to_owned);
                groups[place - 1].truncate(digits - 1);
                while groups[place - 1].len() < digits {
                    groups[place - 1].push(digit);
                }
                let mut typed = Typed(Vec::new());
                let wrong = typed.take(3, &groups.join(" ")).unwrap_err();
                assert_eq!((wrong.group, wrong.fault), (place, GroupFault::Length(digits)));
            }
        }
    }

    #[test]
    fn too_few_and_too_many_groups_are_told() {
        let cause = |text: &str| {
            let mut typed = Typed(Vec::new());
            typed.take(2, text).unwrap();
            typed.whole::<2>().unwrap_err().cause().to_owned()
        };
        assert!(cause("0578963").contains("only 1 groups"));
        assert!(cause(&GROUPS.join("-")).contains("more groups"));
    }
}
