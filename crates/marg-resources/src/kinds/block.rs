//! `block`: marked lines in a file that belongs to others, such as `/etc/hosts`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::answer::Misread;
use crate::change::{Action, Change, TextDiff, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::quote::quote;

/// Lines between `# BEGIN marg NAME` and `# END marg NAME`. All else in the file is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    path: String,
    name: String,
    text: Option<String>,
}

/// What a host says of a block.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BlockSeen {
    /// The file has no such block, or does not exist.
    Missing,
    /// The lines between the marks.
    Present(String),
    /// More than one block of that name.
    Several,
}

impl Block {
    /// The file has that block once, with `text` between the marks. A missing file is created.
    #[must_use]
    pub fn new(path: impl Into<String>, name: impl Into<String>, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if !text.is_empty() && !text.ends_with('\n') {
            text.push('\n');
        }
        Self { path: path.into(), name: name.into(), text: Some(text) }
    }

    /// The file has no such block.
    #[must_use]
    pub fn absent(path: impl Into<String>, name: impl Into<String>) -> Self {
        Self { path: path.into(), name: name.into(), text: None }
    }

    fn begin(&self) -> String {
        format!("# BEGIN marg {}", self.name)
    }

    fn end(&self) -> String {
        format!("# END marg {}", self.name)
    }

    fn script(&self) -> String {
        let (path, begin, end) = (quote(&self.path), quote(&self.begin()), quote(&self.end()));
        match &self.text {
            None => format!("block_write {path} {begin} {end} no </dev/null"),
            Some(text) => format!(
                "block_write {path} {begin} {end} yes <<'MARG_CONTENT'\n{}\nMARG_CONTENT",
                STANDARD.encode(text)
            ),
        }
    }

    fn change(&self, action: Action, summary: &str, old: Option<&String>) -> Verdict {
        let diff = self.text.as_ref().map(|new| TextDiff { old: old.cloned(), new: new.clone() });
        let work = Work::Script(self.script().into());
        Verdict::Will(Change { action, summary: summary.to_owned(), diff, work })
    }
}

/// Reads an answer about one block: `Some(None)` if its end is missing, `None` if it is junk.
fn seen(answer: &str) -> Option<Option<BlockSeen>> {
    if answer == "none" {
        return Some(Some(BlockSeen::Missing));
    }
    let text = String::from_utf8_lossy(&STANDARD.decode(answer).ok()?).into_owned();
    let text = text.strip_suffix('\n')?;
    let (lines, word) = match text.rfind('\n') {
        Some(end) => text.split_at(end + 1),
        None => ("", text),
    };
    match word {
        "missing" => Some(Some(BlockSeen::Missing)),
        "one" => Some(Some(BlockSeen::Present(lines.to_owned()))),
        "several" => Some(Some(BlockSeen::Several)),
        "open" => Some(None),
        _ => None,
    }
}

impl Kind for Block {
    const NAME: &'static str = "block";
    type Seen = BlockSeen;

    fn id(&self) -> String {
        format!("{} {}", self.path, self.name)
    }

    fn probe(all: &[&Self]) -> String {
        // A block without an end would swallow the rest of the file: that is for people to mend.
        let calls = all.iter().enumerate().map(|(place, block)| {
            format!(
                "marg_block {place} {} {} {}\n",
                quote(&block.path),
                quote(&block.begin()),
                quote(&block.end())
            )
        });
        format!("{PROBE}\n{}:", calls.collect::<String>())
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<BlockSeen>, Misread> {
        let mut answers = BTreeMap::new();
        for line in lines {
            let (place, answer) = line.split_once(' ').ok_or_else(|| Self::misread(line))?;
            let seen = seen(answer).ok_or_else(|| Self::misread(line))?;
            answers.insert(place, seen);
        }
        let missing = |block: &Self| Self::misread(format!("no answer about {}", block.id()));
        let open = |block: &Self| {
            Self::misread(format!(
                "{} has `{}` without `{}` after it; add the missing line by hand",
                block.path,
                block.begin(),
                block.end()
            ))
        };
        all.iter()
            .enumerate()
            .map(|(place, block)| match answers.remove(place.to_string().as_str()) {
                Some(Some(seen)) => Ok(seen),
                Some(None) => Err(open(block)),
                None => Err(missing(block)),
            })
            .collect()
    }

    fn fresh(&self) -> BlockSeen {
        BlockSeen::Missing
    }

    fn diff(&self, seen: &BlockSeen, _before: &Before) -> Verdict {
        match (&self.text, seen) {
            (None, BlockSeen::Missing) => Verdict::Converged,
            (None, _) => self.change(Action::Delete, "remove", None),
            (Some(_), BlockSeen::Missing) => self.change(Action::Create, "create", None),
            (Some(_), BlockSeen::Several) => self.change(Action::Update, "keep only one", None),
            (Some(text), BlockSeen::Present(old)) if text == old => Verdict::Converged,
            (Some(_), BlockSeen::Present(old)) => {
                self.change(Action::Update, "content", Some(old))
            }
        }
    }
}

/// Prints the lines between the marks and a last line with what was found, all of it encoded.
const PROBE: &str = r#"marg_block() {
  if [ ! -e "$2" ]; then echo "$1 none"; return 0; fi
  echo "$1 $(begin=$3 end=$4 awk '
    $0 == ENVIRON["begin"] { if (open) exit; open = 1; seen++; next }
    $0 == ENVIRON["end"] && open { open = 0; next }
    open { print }
    END { print (open ? "open" : (seen > 1) ? "several" : seen ? "one" : "missing") }
  ' "$2" | base64 -w0)"
}"#;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kind::Resource;
    use crate::testing::Host;

    fn summary(desired: &Block, answer: &str) -> Option<String> {
        let line = match answer {
            "none" => "0 none".to_owned(),
            text => format!("0 {}", STANDARD.encode(text)),
        };
        let seen = Block::read(&[desired], &[line]).unwrap();
        match desired.diff(&seen[0], &Before::default()) {
            Verdict::Will(change) => Some(change.summary),
            _ => None,
        }
    }

    #[test]
    fn cases() {
        let block = Block::new("/etc/hosts", "fleet", "10.1.0.2 web1");
        for (answer, expected) in [
            ("none", Some("create")),
            ("missing\n", Some("create")),
            ("10.1.0.2 web1\none\n", None),
            ("10.1.0.3 web1\none\n", Some("content")),
            ("x\ny\nseveral\n", Some("keep only one")),
        ] {
            assert_eq!(summary(&block, answer).as_deref(), expected, "{answer}");
        }
        let absent = Block::absent("/etc/hosts", "fleet");
        assert_eq!(summary(&absent, "missing\n"), None);
        assert_eq!(summary(&absent, "x\none\n").as_deref(), Some("remove"));
    }

    #[test]
    fn junk_and_a_block_without_an_end_are_errors() {
        let block = Block::new("/etc/hosts", "fleet", "");
        let open = format!("0 {}", STANDARD.encode("x\nopen\n"));
        for line in ["junk", "0 !", "1 none", "0 ", &open] {
            assert!(Block::read(&[&block], &[line.to_owned()]).is_err(), "{line}");
        }
    }

    /// A file around a block, through a real shell.
    fn round_trip(around: &str, text: &str) {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::local(folder.path());
        let path = folder.path().join("hosts file");
        std::fs::write(&path, around).unwrap();
        let path_text = path.display().to_string();
        let present = [Resource::from(Block::new(&path_text, "the fleet", text))];
        assert_eq!(host.converge(&present), ["create"]);
        let written = std::fs::read_to_string(&path).unwrap();
        assert!(written.contains("# BEGIN marg the fleet\n"));
        std::fs::write(&path, format!("{written}more\n")).unwrap();
        assert_eq!(host.converge(&present), [""; 0]);
        let other = [Resource::from(Block::new(&path_text, "the fleet", "other"))];
        assert_eq!(host.converge(&other), ["content"]);
        let absent = [Resource::from(Block::absent(&path_text, "the fleet"))];
        assert_eq!(host.converge(&absent), ["remove"]);
        let newline = if around.is_empty() || around.ends_with('\n') { "" } else { "\n" };
        let left = std::fs::read_to_string(&path).unwrap();
        assert_eq!(left, format!("{around}{newline}more\n"));
    }

    #[test]
    fn what_is_around_a_block_stays() {
        round_trip("127.0.0.1 localhost\n\n# END marg other\n", "10.1.0.2 web1\n");
        round_trip("no newline at the end", "ü 'q' \"$x\" `id` %s \\n\n\n");
        round_trip("", "");
    }

    #[test]
    fn several_blocks_become_one_and_a_missing_file_is_made() {
        let folder = tempfile::tempdir().unwrap();
        let host = Host::local(folder.path());
        let path = folder.path().join("hosts");
        let wanted = [Resource::from(Block::new(path.display().to_string(), "a", "x"))];
        assert_eq!(host.converge(&wanted), ["create"]);
        let one = std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, format!("{one}between\n{one}")).unwrap();
        assert_eq!(host.converge(&wanted), ["keep only one"]);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), format!("{one}between\n"));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 8, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_text_survives(text in "[^\0\r]{0,60}") {
            round_trip("before\n", &text);
        }
    }
}
