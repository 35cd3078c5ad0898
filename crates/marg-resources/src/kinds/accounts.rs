//! Whose an account is. What marg makes it writes down in a folder that only root reads; whatever
//! else is there belongs to somebody, and is neither used nor changed.

use std::collections::BTreeMap;

use crate::quote::quote_all;

/// What begins a line of the probe that tells of a record.
const MARK: &str = "made ";
/// Numbers of accounts that programs make for themselves.
const SYSTEM: std::ops::RangeInclusive<u32> = 100..=999;

/// How sure it is that marg made an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// It is written down.
    Marg,
    /// It is what earlier versions of marg made, which wrote nothing down; or what a run made that
    /// was interrupted before it wrote down the number.
    Unnumbered,
    /// Somebody else.
    Other,
}

/// The part of a probe that prints the records of these names: `made NAME NUMBER`, with an empty
/// number for what was about to be made.
pub fn records<'a>(database: &str, names: impl IntoIterator<Item = &'a String>) -> String {
    format!(
        "for name in {}; do record=/var/lib/marg/accounts/{database}.$name; \
         if [ -e \"$record\" ]; then number=; [ ! -s \"$record\" ] || read -r number < \"$record\"; \
         echo \"{MARK}$name $number\"; fi; done",
        quote_all(names)
    )
}

/// Reads such a line: the name and the number.
pub fn record(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix(MARK)?.split_once(' ')
}

/// Who made the account of that name and number. `earlier` tells whether it looks like what
/// earlier versions made.
pub fn maker(records: &BTreeMap<&str, &str>, name: &str, number: u32, earlier: bool) -> Maker {
    match records.get(name) {
        Some(&"") => Maker::Unnumbered,
        Some(recorded) if recorded.parse() == Ok(number) => Maker::Marg,
        // Somebody has made another one since.
        Some(_) => Maker::Other,
        None if earlier && SYSTEM.contains(&number) => Maker::Unnumbered,
        None => Maker::Other,
    }
}

/// Why a host is left alone, and what to do.
pub fn refusal(what: &str, name: &str, found: &str) -> String {
    format!(
        "the {what} `{name}` exists there ({found}) and was not made by marg, which never uses or \
         changes what is somebody else's. Choose another name in the inventory; or, if nobody needs \
         the {what} any more, remove it yourself ({} {name}) and run the same command again",
        if what == "group" {
            "groupdel"
        } else {
            "userdel"
        }
    )
}
