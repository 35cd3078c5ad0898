//! `block`: marked lines in a file that belongs to others, such as `/etc/hosts`.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::paths;
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

/// What has been read of one block so far.
#[derive(Default)]
struct Answer<'a> {
    lines: Vec<&'a str>,
    word: Option<&'a str>,
}

impl<'a> Answer<'a> {
    /// Takes what follows the block's place: a line of the block, or the word at its end.
    fn take(&mut self, rest: &'a str) -> Option<()> {
        match rest.strip_prefix('=') {
            _ if self.word.is_some() => return None,
            Some(line) => self.lines.push(line),
            None => self.word = Some(rest),
        }
        Some(())
    }

    /// `Some(None)` if its end is missing, `None` if it is junk.
    fn seen(self) -> Option<Option<BlockSeen>> {
        match self.word? {
            "none" | "missing" => Some(Some(BlockSeen::Missing)),
            "one" => {
                let text = self.lines.iter().flat_map(|line| [line, "\n"]).collect();
                Some(Some(BlockSeen::Present(text)))
            }
            "several" => Some(Some(BlockSeen::Several)),
            "open" => Some(None),
            _ => None,
        }
    }
}

impl Kind for Block {
    const NAME: &'static str = "block";
    type Seen = BlockSeen;

    fn id(&self) -> String {
        format!("{} {}", self.path, self.name)
    }

    fn paths(&self) -> Vec<String> {
        vec![self.path.clone()]
    }

    fn probe(all: &[&Self]) -> String {
        // A block without an end would swallow the rest of the file: that is for people to mend.
        let blocks = all.iter().enumerate().map(|(place, block)| {
            let path = quote(&block.path);
            let (folder, name) = block.path.rsplit_once('/').unwrap_or(("", &block.path));
            // What others may change is read by a command that follows no link.
            let apart = format!(
                "|cd -P -- {folder}/. && [ \"$PWD\" = {folder} ] && \
                 exec dd if=./{} iflag=nofollow,nonblock bs=64K count=256 status=none 2>/dev/null",
                quote(name),
                folder = quote(folder),
            );
            format!(
                "if [ -e {path} ]; then\nmarg_block={path}\n\
                 ! marg_loose {path} || marg_block={}\n\
                 set -- \"$@\" {place} \"$marg_block\" {} {}\nelse echo '{place} none'; fi\n",
                quote(&apart),
                quote(&block.begin()),
                quote(&block.end())
            )
        });
        format!("set --\n{}{PROBE}", blocks.collect::<String>())
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<BlockSeen>, Misread> {
        let (_, lines) = paths::take(lines).map_err(Self::misread)?;
        let mut answers: BTreeMap<&str, Answer> = BTreeMap::new();
        for line in &lines {
            let misread = || Self::misread(line);
            let (place, rest) = line.split_once(' ').ok_or_else(misread)?;
            let answer = answers.entry(place).or_default();
            answer.take(rest).ok_or_else(misread)?;
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
            .map(|(place, block)| {
                let answer = answers.remove(place.to_string().as_str());
                match answer.and_then(Answer::seen) {
                    Some(Some(seen)) => Ok(seen),
                    Some(None) => Err(open(block)),
                    None => Err(missing(block)),
                }
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

/// Prints the lines between the marks, each behind `=`, and a last line with what was found. One
/// process reads all blocks: its arguments are place, path, begin and end of each.
const PROBE: &str = r#"[ $# -eq 0 ] || awk '
function next_of(path) {
  return path ~ /^[|]/ ? (substr(path, 2) | getline line) : (getline line < path)
}
function look(place, path, begin, end,   status, open, seen) {
  while ((status = next_of(path)) > 0) {
    if (line == begin) { seen++; if (open) break; open = 1 }
    else if (line == end && open) open = 0
    else if (open) print place " =" line
  }
  close(path ~ /^[|]/ ? substr(path, 2) : path)
  print place, (status < 0 ? "unreadable" : open ? "open" : seen > 1 ? "several" : seen ? "one" : "missing")
}
BEGIN { for (i = 1; i < ARGC; i += 4) look(ARGV[i], ARGV[i + 1], ARGV[i + 2], ARGV[i + 3]) }
' "$@""#;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kind::Resource;
    use crate::testing::Host;

    fn summary(desired: &Block, answer: &[&str]) -> Option<String> {
        let lines: Vec<String> = answer.iter().map(|line| format!("0 {line}")).collect();
        let seen = Block::read(&[desired], &lines).unwrap();
        match desired.diff(&seen[0], &Before::default()) {
            Verdict::Will(change) => Some(change.summary),
            _ => None,
        }
    }

    #[test]
    fn cases() {
        let block = Block::new("/etc/hosts", "fleet", "10.1.0.2 web1");
        for (answer, expected) in [
            (&["none"][..], Some("create")),
            (&["missing"], Some("create")),
            (&["=10.1.0.2 web1", "one"], None),
            (&["=10.1.0.3 web1", "one"], Some("content")),
            (&["one"], Some("content")),
            (&["=x", "=y", "several"], Some("keep only one")),
        ] {
            assert_eq!(summary(&block, answer).as_deref(), expected, "{answer:?}");
        }
        let absent = Block::absent("/etc/hosts", "fleet");
        assert_eq!(summary(&absent, &["missing"]), None);
        assert_eq!(summary(&absent, &["=x", "one"]).as_deref(), Some("remove"));
    }

    #[test]
    fn junk_and_a_block_without_an_end_are_errors() {
        let block = Block::new("/etc/hosts", "fleet", "");
        for lines in [
            &["junk"][..],
            &["0 !"],
            &["1 none"],
            &["0 "],
            &["0 =x"],
            &["0 unreadable"],
            &["0 one", "0 =x"],
            &["0 =x", "0 open"],
        ] {
            let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
            assert!(Block::read(&[&block], &lines).is_err(), "{lines:?}");
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
