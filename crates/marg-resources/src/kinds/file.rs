//! `file`: a regular file with its content, mode and owner, or its absence.

mod answer;

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use marg_model::Secret;
use sha2::{Digest, Sha256};

use self::answer::{Checked, sum_of};
use super::paths;
use crate::answer::Misread;
use crate::change::{Action, Change, Place, TextDiff, Validator, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::quote::quote;
use crate::script::Shell;

/// A regular file. Owned by root and readable by all unless told otherwise.
#[derive(Clone, Debug, PartialEq)]
pub struct File {
    path: String,
    content: Option<Content>,
    mode: u32,
    owner: String,
    group: String,
    validator: Option<Validator>,
}

#[derive(Clone, Debug, PartialEq)]
enum Content {
    Open(String),
    Secret(Secret),
}

/// What a host says of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileSeen {
    /// Nothing is there.
    Missing,
    /// Something that is not a regular file.
    Other(String),
    /// A regular file.
    Present {
        /// Permission bits.
        mode: u32,
        /// Owner's name.
        owner: String,
        /// Group's name.
        group: String,
        /// Whether its content has the desired checksum.
        same: bool,
        /// Its content, if it differs, is small and not secret.
        content: Option<String>,
    },
}

impl File {
    /// A file with that content.
    pub fn new(path: impl Into<String>, content: impl Into<String>) -> Self {
        Self::with(path, Some(Content::Open(content.into())), 0o644)
    }

    /// A file whose content is never shown; readable by its owner only.
    pub fn secret(path: impl Into<String>, content: Secret) -> Self {
        Self::with(path, Some(Content::Secret(content)), 0o600)
    }

    /// The file does not exist.
    pub fn absent(path: impl Into<String>) -> Self {
        Self::with(path, None, 0o644)
    }

    fn with(path: impl Into<String>, content: Option<Content>, mode: u32) -> Self {
        let (owner, group) = ("root".to_owned(), "root".to_owned());
        Self { path: path.into(), content, mode, owner, group, validator: None }
    }

    /// Permission bits, for example `0o640`.
    #[must_use]
    pub fn mode(mut self, mode: u32) -> Self {
        self.mode = mode;
        self
    }

    /// Owner and group.
    #[must_use]
    pub fn owner(mut self, owner: impl Into<String>, group: impl Into<String>) -> Self {
        self.owner = owner.into();
        self.group = group.into();
        self
    }

    /// The program that must accept the new state before it goes live. Paths below `/etc` only.
    #[must_use]
    pub fn validate(mut self, validator: Validator) -> Self {
        self.validator = Some(validator);
        self
    }

    fn text(&self) -> Option<&str> {
        self.content.as_ref().map(|content| match content {
            Content::Open(text) => text.as_str(),
            Content::Secret(secret) => secret.expose(),
        })
    }

    fn is_secret(&self) -> bool {
        matches!(self.content, Some(Content::Secret(_)))
    }

    fn checksum(&self) -> String {
        let digest = Sha256::digest(self.text().unwrap_or_default());
        digest.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    fn place(&self, stage: Shell, commit: String) -> Work {
        Work::Place(Place { validator: self.validator.clone(), stage, commit, guard: None })
    }

    fn write(&self) -> Work {
        let (path, encoded) = (quote(&self.path), STANDARD.encode(self.text().unwrap_or_default()));
        let head = format!(
            "stage_file {path} {:04o} {} {} <<'MARG_CONTENT'\n",
            self.mode,
            quote(&self.owner),
            quote(&self.group)
        );
        let body = if self.is_secret() {
            Shell::new(head).secret(Secret::new(encoded))
        } else {
            Shell::new(head).text(wrap(&encoded))
        };
        self.place(body.text("\nMARG_CONTENT"), format!("land {path}"))
    }

    fn remove(&self) -> Work {
        Work::Place(Place::removal(&self.path, self.validator.clone()))
    }

    fn change(&self, action: Action, summary: String, old: Option<String>, differs: bool) -> Verdict {
        let diff = match &self.content {
            Some(Content::Open(new)) if differs => Some(TextDiff { old, new: new.clone() }),
            _ => None,
        };
        Verdict::Will(Change { action, summary, diff, work: self.write() })
    }
}

/// Lines of a length that terminals and reviewers like.
fn wrap(encoded: &str) -> String {
    let mut lines = String::new();
    for (index, c) in encoded.chars().enumerate() {
        if index > 0 && index % 76 == 0 {
            lines.push('\n');
        }
        lines.push(c);
    }
    lines
}

impl Kind for File {
    const NAME: &'static str = "file";
    type Seen = FileSeen;

    fn id(&self) -> String {
        self.path.clone()
    }

    fn files(&self) -> Vec<File> {
        vec![self.clone()]
    }

    fn probe(all: &[&Self]) -> String {
        let sums: String =
            all.iter().map(|file| format!("{}  {}\n", file.checksum(), file.path)).collect();
        let secrets: Vec<String> = all
            .iter()
            .filter(|file| file.is_secret() || file.content.is_none())
            .map(|file| quote(&file.path))
            .collect();
        // A secret's content never travels to be compared; its checksum is enough.
        let hidden = if secrets.is_empty() { "''".to_owned() } else { secrets.join("|") };
        format!(
            "marg_sums=$(marg_check <<'MARG_SUMS'
{sums}MARG_SUMS
)
printf '%s\\n' \"$marg_sums\"
case $marg_sums in *': FAILED'*) while IFS= read -r line; do
  case $line in *': FAILED'*) path=${{line%: FAILED*}} ;; *) continue ;; esac
  case $path in {hidden}) continue ;; esac
  marg_content \"$path\"
done <<MARG_END
$marg_sums
MARG_END
esac"
        )
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<FileSeen>, Misread> {
        let (paths, rest) = paths::take(lines).map_err(Self::misread)?;
        let mut answers: BTreeMap<&str, Checked> = BTreeMap::new();
        for line in &rest {
            if line.starts_with('/') {
                let (path, same) = sum_of(line).ok_or_else(|| Self::misread(line))?;
                answers.entry(path).or_default().same = Some(same);
                continue;
            }
            let content = line.strip_prefix("content ").and_then(|rest| rest.split_once(' '));
            let (encoded, path) = content.ok_or_else(|| Self::misread(line))?;
            answers.entry(path).or_default().content = Some(encoded);
        }
        all.iter()
            .map(|file| {
                let checked = answers.remove(file.path.as_str()).unwrap_or_default();
                paths.get(&file.path).cloned().map_or(Ok(FileSeen::Missing), |path| checked.seen(path, &file.path))
            })
            .collect()
    }

    fn fresh(&self) -> FileSeen {
        FileSeen::Missing
    }

    fn diff(&self, seen: &FileSeen, before: &Before) -> Verdict {
        if self.content.is_none() {
            let remove = |summary: &str| Change {
                action: Action::Delete,
                summary: summary.to_owned(),
                diff: None,
                work: self.remove(),
            };
            return match seen {
                FileSeen::Missing if before.brings_files() => {
                    Verdict::May(remove("remove, if a package brings it"))
                }
                FileSeen::Missing => Verdict::Converged,
                _ => Verdict::Will(remove("remove")),
            };
        }
        match seen {
            FileSeen::Missing => self.change(Action::Create, "create".to_owned(), None, true),
            FileSeen::Other(what) => {
                self.change(Action::Update, format!("replace a {what} by a file"), None, true)
            }
            FileSeen::Present { mode, owner, group, same, content } => {
                let mut reasons = Vec::new();
                if !same {
                    reasons.push("content".to_owned());
                }
                if *mode != self.mode {
                    reasons.push(format!("mode {mode:04o} → {:04o}", self.mode));
                }
                if (owner, group) != (&self.owner, &self.group) {
                    reasons.push(format!("owner {owner}:{group} → {}:{}", self.owner, self.group));
                }
                if reasons.is_empty() {
                    return Verdict::Converged;
                }
                self.change(Action::Update, reasons.join(", "), content.clone(), !same)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::kind::Resource;
    use crate::testing::{Host, names};

    fn summary(desired: &File, lines: &[&str]) -> Option<String> {
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        let seen = File::read(&[desired], &lines).expect("readable");
        match desired.diff(&seen[0], &Before::default()) {
            Verdict::Will(change) => Some(change.summary),
            _ => None,
        }
    }

    #[test]
    fn cases() {
        let file = File::new("/etc/x", "a\n").mode(0o640).owner("root", "www-data");
        let good = "s 640 root www-data f|/etc/x";
        for (lines, expected) in [
            (vec![], Some("create")),
            (vec![good, "/etc/x: OK"], None),
            (vec![good, "/etc/x: FAILED", "content YgoK /etc/x"], Some("content")),
            (vec!["s 644 root root f|/etc/x", "/etc/x: OK"],
                Some("mode 0644 → 0640, owner root:root → root:www-data")),
            (vec!["s 777 root root l|/etc/x", "l /etc/x|y", "/etc/x: OK"],
                Some("replace a symbolic link by a file")),
        ] {
            assert_eq!(summary(&file, &lines).as_deref(), expected, "{lines:?}");
        }
        assert_eq!(summary(&File::absent("/etc/x"), &[]), None);
        assert_eq!(summary(&File::absent("/etc/x"), &[good, "/etc/x: FAILED"]).as_deref(), Some("remove"));
    }

    /// A file through a real shell: made, found as it should be, changed, taken away.
    fn round_trip(content: &str) {
        let folder = tempfile::tempdir().expect("a folder");
        let host = Host::local(folder.path());
        let (user, group) = names(folder.path());
        let path = folder.path().join("a file's $name");
        let text = path.display().to_string();
        let open = |content: &str| {
            let file = File::new(&text, content).mode(0o640);
            [Resource::from(file.owner(&user, &group))]
        };
        let secret = File::secret(&text, Secret::new("other\n")).owner(&user, &group);
        assert_eq!(host.converge(&open(content)), ["create"]);
        assert_eq!(std::fs::read_to_string(&path).expect("written"), content);
        assert_eq!(host.converge(&open(content)), [""; 0]);
        let planned = host.plan(&open("other\n"));
        if let Some(diff) = planned.changes.first().and_then(|change| change.diff.as_ref()) {
            assert_eq!(diff.old.as_deref(), Some(content));
        }
        host.converge(&[secret.into()]);
        assert_eq!(host.converge(&open("other\n")), ["mode 0600 → 0640"]);
        assert_eq!(host.converge(&[File::absent(&text).into()]), ["remove"]);
    }

    #[test]
    fn files_converge_on_a_real_shell() {
        round_trip("");
        round_trip("no newline at the end, 'quotes' \"$x\" `id` %s \\n ü");
        round_trip(&"a line that is longer than one line of base64\n".repeat(200));
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 6, failure_persistence: None, ..ProptestConfig::default() })]
        #[test]
        fn any_content_survives(content in "[^\0]{0,120}") {
            round_trip(&content);
        }
    }

    #[test]
    fn a_secret_is_written_but_never_shown() {
        let file = File::secret("/var/www/x/.env", Secret::new("KEY=canary\n"));
        let Verdict::Will(change) = file.diff(&FileSeen::Missing, &Before::default()) else {
            panic!("a missing file is created");
        };
        assert_eq!(change.diff, None);
        let shown = format!("{change:?}");
        assert!(!shown.contains(&STANDARD.encode("KEY=canary\n")) && !shown.contains("canary"));
        let Work::Place(place) = change.work else { panic!("files are placed") };
        assert!(place.stage.reveal().expose().contains(&STANDARD.encode("KEY=canary\n")));
    }

    #[test]
    fn a_checksum_that_did_not_arrive_is_an_error() {
        let lines = ["s 640 root root f|/etc/x".to_owned()];
        assert!(File::read(&[&File::new("/etc/x", "a")], &lines).is_err());
    }
}
