//! Small rules of text that every rendering follows.

use anstyle::{AnsiColor, Style};

/// Headings, names.
pub const BOLD: Style = Style::new().bold();
/// What may be overlooked.
pub const DIM: Style = Style::new().dimmed();
/// New, good.
pub const GREEN: Style = AnsiColor::Green.on_default();
/// Different, uncertain.
pub const YELLOW: Style = AnsiColor::Yellow.on_default();
/// Gone, bad.
pub const RED: Style = AnsiColor::Red.on_default();
/// Hints, things to type.
pub const CYAN: Style = AnsiColor::Cyan.on_default();

/// The text in a style. Colours are taken off again where they are not wanted.
pub fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A text from a host or a file without anything that a terminal would obey.
pub fn clean(text: &str) -> String {
    let visible = |c: char| match c {
        '\t' => "    ".to_owned(),
        c if is_obeyed(c) => format!("\\u{{{:x}}}", u32::from(c)),
        c => c.to_string(),
    };
    match text.contains(|c| c == '\t' || is_obeyed(c)) {
        true => text.trim_end_matches('\r').chars().map(visible).collect(),
        false => text.to_owned(),
    }
}

/// Control characters, and those that turn the direction of writing around.
fn is_obeyed(c: char) -> bool {
    c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// `1 host`, `2 hosts`.
pub fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// A duration for people: `0.4 s`, `12 s`, `3 min 5 s`.
pub fn seconds(millis: u64) -> String {
    match millis {
        0..10_000 => format!("{}.{} s", millis / 1000, millis % 1000 / 100),
        10_000..120_000 => format!("{} s", millis / 1000),
        _ => format!("{} min {} s", millis / 60_000, millis % 60_000 / 1000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_from_a_host_is_obeyed() {
        for (text, expected) in [
            ("plain ü •", "plain ü •"),
            ("a\tb\r", "a    b"),
            ("\u{1b}[2Jgone", "\\u{1b}[2Jgone"),
            ("a\rb", "a\\u{d}b"),
            ("a\u{202e}b", "a\\u{202e}b"),
        ] {
            assert_eq!(clean(text), expected);
        }
    }

    #[test]
    fn durations_are_as_exact_as_people_need() {
        for (millis, expected) in [
            (0, "0.0 s"),
            (437, "0.4 s"),
            (9_999, "9.9 s"),
            (12_900, "12 s"),
            (119_999, "119 s"),
            (185_000, "3 min 5 s"),
        ] {
            assert_eq!(seconds(millis), expected);
        }
    }
}
