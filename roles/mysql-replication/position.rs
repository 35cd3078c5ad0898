//! How much of the group's history a server has: sets of transactions, in the words of both
//! engines.

use std::collections::BTreeMap;

/// Transactions by their origin, as ranges of numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Position(BTreeMap<String, Vec<(u64, u64)>>);

impl Position {
    /// Reads `0-1-500` (MariaDB: everything of domain 0 up to 500) and `uuid:1-5:7,uuid2:1`
    /// (MySQL), several of them joined by commas; `None` for anything else.
    pub fn read(text: &str) -> Option<Position> {
        let mut position = Position::default();
        for part in text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
        {
            match part.split_once(':') {
                Some((origin, ranges)) => position.read_set(origin, ranges)?,
                None => position.read_last(part)?,
            }
        }
        Some(position)
    }

    fn read_last(&mut self, part: &str) -> Option<()> {
        let mut words = part.split('-');
        let (domain, _server) = (words.next()?, words.next()?.parse::<u64>().ok()?);
        domain.parse::<u64>().ok()?;
        let last = words.next()?.parse().ok()?;
        words.next().is_none().then(|| self.add(domain, 1, last))
    }

    fn read_set(&mut self, origin: &str, ranges: &str) -> Option<()> {
        let mut origin = origin.to_owned();
        for range in ranges.split(':') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            match (first.parse(), last.parse()) {
                (Ok(first), Ok(last)) => self.add(&origin, first, last),
                // MySQL 8.3 and later: transactions may carry a tag, which begins with a letter.
                _ if range.starts_with(|c: char| c.is_ascii_lowercase() || c == '_') => {
                    let uuid = origin.split(':').next()?;
                    origin = format!("{uuid}:{range}");
                }
                _ => return None,
            }
        }
        Some(())
    }

    fn add(&mut self, origin: &str, first: u64, last: u64) {
        self.0
            .entry(origin.to_owned())
            .or_default()
            .push((first, last));
    }

    /// This and the other one's.
    #[must_use]
    pub fn and(mut self, other: Position) -> Position {
        for (origin, ranges) in other.0 {
            self.0.entry(origin).or_default().extend(ranges);
        }
        self
    }

    /// How many transactions it is.
    pub fn count(&self) -> u64 {
        self.0.values().map(|ranges| length(ranges.clone())).sum()
    }
}

/// Numbers that at least one of the ranges holds.
fn length(mut ranges: Vec<(u64, u64)>) -> u64 {
    ranges.sort_unstable();
    let (mut sum, mut next) = (0, 0);
    for (first, last) in ranges {
        let first = first.max(next);
        if last >= first {
            sum += last - first + 1;
            next = last + 1;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

    #[test]
    fn transactions_are_counted_in_both_languages() {
        for (text, expected) in [
            ("", Some(0)),
            ("0-1-500", Some(500)),
            ("0-2-500,1-1-7", Some(507)),
            (&format!("{A}:1-5:7"), Some(6)),
            (&format!("{A}:1-5,b:1-3:2-4"), Some(9)),
            (&format!("{A}:1-5:tag:1-2"), Some(7)),
            ("0-1", None),
            ("0-1-2-3", None),
            ("junk", None),
            (&format!("{A}:1-x"), None),
        ] {
            let found = Position::read(text).map(|position| position.count());
            assert_eq!(found, expected, "{text}");
        }
    }

    #[test]
    fn what_was_received_and_what_was_executed_overlap() {
        for (one, other, expected) in [
            ("0-1-500", "0-1-480", 500),
            ("a:1-5", "a:4-9", 9),
            ("a:1-5", "a:8-9", 7),
        ] {
            let read = |text| Position::read(text).unwrap_or_default();
            assert_eq!(read(one).and(read(other)).count(), expected);
        }
    }
}
