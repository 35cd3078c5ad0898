//! Old and new text as a unified diff.

use marg::TextDiff;
use similar::ChangeTag;

use crate::output::{CYAN, DIM, GREEN, RED, clean, count, paint};

/// Lines of a diff that are shown unless all are wanted.
const LINES: usize = 16;
/// Unchanged lines around a change.
const AROUND: usize = 2;

/// The diff, each line behind `indent`. New files are only shown when `all` is wanted: there is
/// nothing to compare them with.
pub fn diff(diff: &TextDiff, all: bool, indent: &str) -> String {
    let lines = match (&diff.old, all) {
        (None, false) => return String::new(),
        (old, _) => lines(old.as_deref().unwrap_or_default(), &diff.new),
    };
    let shown = if all { lines.len() } else { LINES };
    let mut text: String = lines
        .iter()
        .take(shown)
        .map(|l| format!("{indent}{l}\n"))
        .collect();
    if lines.len() > shown {
        let rest = format!(
            "… {} (-v shows all)",
            count(lines.len() - shown, "more line")
        );
        text.push_str(&format!("{indent}{}\n", paint(DIM, &rest)));
    }
    text
}

fn lines(old: &str, new: &str) -> Vec<String> {
    let diff = similar::TextDiff::from_lines(old, new);
    let mut lines = Vec::new();
    for hunk in diff.unified_diff().context_radius(AROUND).iter_hunks() {
        lines.push(paint(CYAN, &hunk.header().to_string()));
        for change in hunk.iter_changes() {
            let text = clean(change.value().trim_end_matches('\n'));
            lines.push(match change.tag() {
                ChangeTag::Equal => paint(DIM, &format!(" {text}")),
                ChangeTag::Delete => paint(RED, &format!("-{text}")),
                ChangeTag::Insert => paint(GREEN, &format!("+{text}")),
            });
            if change.missing_newline() {
                lines.push(paint(DIM, "\\ no line break at the end"));
            }
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::plain;

    fn shown(old: Option<&str>, new: &str, all: bool) -> String {
        let text = TextDiff {
            old: old.map(str::to_owned),
            new: new.to_owned(),
        };
        plain(&diff(&text, all, "| "))
    }

    #[test]
    fn only_what_changed_is_shown_with_its_surroundings() {
        let old = "one\ntwo\nthree\nfour\nfive\nsix\n";
        let new = "one\ntwo\nthree\n4\nfive\nsix";
        insta::assert_snapshot!("diff", shown(Some(old), new, false));
    }

    #[test]
    fn long_diffs_are_cut_unless_all_is_wanted() {
        let new: String = (0..20).map(|n| format!("line {n}\u{7}\n")).collect();
        insta::assert_snapshot!("diff-long", shown(Some("gone\n"), &new, false));
        assert!(!shown(Some("gone\n"), &new, true).contains("-v shows all"));
        assert_eq!(shown(None, &new, false), "");
        assert!(shown(None, &new, true).contains("| +line 19\\u{7}"));
    }
}
