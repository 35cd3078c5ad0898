//! The pinned host keys of one environment, in OpenSSH's own file format, so that `ssh` can
//! be given the same file.

use std::fs::File;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::{HostKey, SshError};

/// A `known_hosts` file: one ed25519 key per name. Names are stable aliases such as
/// `marg-http1` (OpenSSH's HostKeyAlias), never addresses, which move between machines.
#[derive(Clone, Debug)]
pub struct KnownHosts {
    path: PathBuf,
    lines: Vec<Line>,
}

#[derive(Clone, Debug)]
enum Line {
    /// Blank or a comment, kept as it is.
    Other(String),
    Pin(String, HostKey),
}

impl KnownHosts {
    /// Reads the file; one that does not exist yet is an empty one.
    ///
    /// # Errors
    /// [`SshError::KnownHosts`] for a line that is not `name ssh-ed25519 AAAA…` or a name that
    /// appears twice, [`SshError::Io`] when the file cannot be read.
    pub fn load(path: &Path) -> Result<Self, SshError> {
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(e) if e.kind() == ErrorKind::NotFound => String::new(),
            Err(e) => return Err(failed("reading", path)(e)),
        };
        let mut hosts = Self {
            path: path.to_owned(),
            lines: Vec::new(),
        };
        for line in text.lines() {
            let parsed = hosts.parse_line(line)?;
            hosts.lines.push(parsed);
        }
        Ok(hosts)
    }

    /// The file that this was read from and that [`Self::pin`] writes.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key pinned for `name`. It remembers its line for error messages.
    pub fn get(&self, name: &str) -> Option<HostKey> {
        let mut lines = self.lines.iter().enumerate();
        lines.find_map(|(index, line)| match line {
            Line::Pin(pinned, key) if pinned == name => {
                Some(key.clone().pinned_at(self.path.clone(), index + 1))
            }
            _ => None,
        })
    }

    /// The key pinned for `name`, or the error to show where there is none.
    ///
    /// # Errors
    /// [`SshError::HostKeyUnknown`].
    pub fn require(&self, name: &str) -> Result<HostKey, SshError> {
        self.get(name).ok_or_else(|| SshError::HostKeyUnknown {
            host: name.to_owned(),
            path: self.path.clone(),
        })
    }

    /// All pinned names, in the order of the file.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.lines.iter().filter_map(|line| match line {
            Line::Pin(name, _) => Some(name.as_str()),
            Line::Other(_) => None,
        })
    }

    /// Pins `key` for `name`, in place of the key it had. The file is replaced by rename
    /// (mode 0600); pins that another process made in the meantime are kept.
    ///
    /// # Errors
    /// [`SshError::BadName`] for a name with other characters than letters, digits and `._-`,
    /// and the errors of [`Self::load`].
    pub fn pin(&mut self, name: &str, key: &HostKey) -> Result<(), SshError> {
        if !is_plain(name) {
            return Err(SshError::BadName {
                name: name.to_owned(),
            });
        }
        self.change(|lines| {
            let pin = Line::Pin(name.to_owned(), key.clone());
            match lines.iter_mut().find(|line| line.is_pin_of(name)) {
                Some(line) => *line = pin,
                None => lines.push(pin),
            }
        })
    }

    /// Removes the pin of a machine that is gone; a name without one is no error.
    ///
    /// # Errors
    /// Those of [`Self::load`].
    pub fn forget(&mut self, name: &str) -> Result<(), SshError> {
        self.change(|lines| lines.retain(|line| !line.is_pin_of(name)))
    }

    /// Reads the file anew, changes it and writes it, while no other process does.
    fn change(&mut self, edit: impl FnOnce(&mut Vec<Line>)) -> Result<(), SshError> {
        let lock = open_private(&self.path.with_extension("lock"))?;
        lock.lock().map_err(failed("locking", &self.path))?;
        let mut fresh = Self::load(&self.path)?;
        edit(&mut fresh.lines);
        fresh.write()?;
        *self = fresh;
        Ok(())
    }

    fn write(&self) -> Result<(), SshError> {
        let text: String = self.lines.iter().map(Line::text).collect();
        let new_path = self.path.with_extension("new");
        let mut new_file = open_private(&new_path)?;
        new_file
            .write_all(text.as_bytes())
            .and_then(|()| new_file.sync_all())
            .and_then(|()| std::fs::rename(&new_path, &self.path))
            .map_err(failed("writing", &self.path))
    }

    fn parse_line(&self, text: &str) -> Result<Line, SshError> {
        let trimmed = text.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            return Ok(Line::Other(text.to_owned()));
        }
        let bad = |reason: &str| SshError::KnownHosts {
            path: self.path.clone(),
            line: self.lines.len() + 1,
            reason: reason.to_owned(),
        };
        let (name, key) = trimmed
            .split_once(char::is_whitespace)
            .ok_or_else(|| bad("a line is `name ssh-ed25519 AAAA…`"))?;
        if !is_plain(name) {
            return Err(bad(
                "the name is not a plain one: marg pins one name per line, without patterns, \
                 hashes or markers",
            ));
        }
        if self.get(name).is_some() {
            return Err(bad(&format!("{name} is pinned twice")));
        }
        match HostKey::parse(key) {
            Ok(key) => Ok(Line::Pin(name.to_owned(), key)),
            Err(_) => Err(bad("after the name comes no ed25519 public key")),
        }
    }
}

impl Line {
    fn is_pin_of(&self, name: &str) -> bool {
        matches!(self, Self::Pin(pinned, _) if pinned == name)
    }

    fn text(&self) -> String {
        match self {
            Self::Other(text) => format!("{text}\n"),
            Self::Pin(name, key) => format!("{name} {}\n", key.openssh()),
        }
    }
}

/// Whether OpenSSH reads `name` as that name and nothing more.
fn is_plain(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    !name.is_empty() && name.chars().all(plain)
}

fn open_private(path: &Path) -> Result<File, SshError> {
    let file = File::options()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)
        .map_err(failed("writing", path))?;
    // A file left behind by someone else keeps its mode when it is opened.
    file.set_permissions(PermissionsExt::from_mode(0o600))
        .map_err(failed("writing", path))?;
    Ok(file)
}

fn failed(doing: &str, path: &Path) -> impl FnOnce(std::io::Error) -> SshError + use<> {
    let doing = format!("{doing} {}", path.display());
    move |source| SshError::Io { doing, source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{KeyPair, PinnedIn};

    fn key() -> HostKey {
        KeyPair::generate("").unwrap().host_key()
    }

    #[test]
    fn pins_are_kept_replaced_and_forgotten_on_disk() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        let (first, second, other) = (key(), key(), key());
        let mut hosts = KnownHosts::load(&path).unwrap();
        assert!(hosts.get("marg-http1").is_none());
        hosts.pin("marg-http1", &first).unwrap();

        // Another process pins its own host meanwhile; neither pin gets lost.
        KnownHosts::load(&path)
            .unwrap()
            .pin("marg-db1", &other)
            .unwrap();
        hosts.pin("marg-http1", &second).unwrap();

        let mut again = KnownHosts::load(&path).unwrap();
        assert_eq!(again.get("marg-http1"), Some(second));
        assert_eq!(again.get("marg-db1"), Some(other));
        assert_eq!(
            again.names().collect::<Vec<_>>(),
            ["marg-http1", "marg-db1"]
        );
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);

        again.forget("marg-http1").unwrap();
        let after = KnownHosts::load(&path).unwrap();
        assert_eq!(after.names().collect::<Vec<_>>(), ["marg-db1"]);
    }

    #[test]
    fn comments_stay_and_a_key_knows_its_line() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        let pinned = key();
        std::fs::write(
            &path,
            format!("# ours\n\nmarg-http1 {} note\n", pinned.openssh()),
        )
        .unwrap();
        let mut hosts = KnownHosts::load(&path).unwrap();
        assert_eq!(
            hosts.get("marg-http1").unwrap().pinned(),
            Some(Box::new(PinnedIn {
                path: path.clone(),
                line: 3
            }))
        );
        hosts.pin("marg-http2", &key()).unwrap();
        assert!(
            std::fs::read_to_string(&path)
                .unwrap()
                .starts_with("# ours\n\nmarg-http1 ")
        );
    }

    #[test]
    fn what_is_not_understood_is_an_error_with_its_line() {
        let good = key().openssh();
        let cases = [
            ("marg-http1".to_owned(), "a line is"),
            ("marg-http1 ssh-ed25519 AAAA".to_owned(), "no ed25519"),
            ("marg-http1 ssh-rsa AAAA".to_owned(), "no ed25519"),
            (format!("*.test {good}"), "not a plain one"),
            (format!("|1|a=|b= {good}"), "not a plain one"),
            (format!("@revoked marg-http1 {good}"), "not a plain one"),
            (format!("marg-db1 {good}"), "pinned twice"),
        ];
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("known_hosts");
        for (line, expected) in cases {
            std::fs::write(&path, format!("marg-db1 {good}\n{line}\n")).unwrap();
            let message = KnownHosts::load(&path).unwrap_err().to_string();
            assert!(
                message.contains("known_hosts:2: ") && message.contains(expected),
                "{message}"
            );
        }
    }

    #[test]
    fn a_name_cannot_smuggle_a_line_in() {
        let folder = tempfile::tempdir().unwrap();
        let mut hosts = KnownHosts::load(&folder.path().join("known_hosts")).unwrap();
        for name in ["", "a b", "a\nb", "*", "a,b", "[a]:22", "!a", "#a"] {
            assert!(hosts.pin(name, &key()).is_err(), "{name:?}");
        }
    }
}
