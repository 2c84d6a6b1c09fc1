//! Numbers that people read to each other: groups of digits, shown and typed in.

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
        let digits: Vec<char> = text
            .chars()
            .filter(|character| !matches!(character, '-') && !character.is_whitespace())
            .collect();
        for group in digits.chunks(GROUP_DIGITS) {
            let group = check_group(self.0.len(), &group.iter().collect::<String>())?;
            // Too many are told apart by their number.
            if self.0.len() <= most {
                self.0.push(group);
            }
        }
        Ok(())
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

fn wrong(invalid: InvalidGroup) -> Problem {
    Problem::new(Exit::Usage, invalid).advise("Have this group read out again.")
}

#[cfg(test)]
mod tests {
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
            lines.iter().for_each(|line| typed.take(3, line).unwrap());
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
