//! `sshd_config`: marg's part of the SSH server's configuration.

use super::backed;
use crate::answer::Misread;
use crate::change::{Action, Change, Guarded, Validator, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::kinds::File;
use crate::kinds::file::FileSeen;
use crate::quote::quote;

/// Read before the distribution's own part: sshd takes the first value of a key.
const PATH: &str = "/etc/ssh/sshd_config.d/10-marg.conf";

/// A drop-in of the SSH server. It is checked by `sshd -t` before it goes live, and undone
/// unless a new connection succeeds with it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshdConfig {
    text: String,
}

/// What a host says of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SshdConfigSeen {
    file: Vec<FileSeen>,
    /// Whether an earlier run wrote it, but did not reload the server.
    owed: bool,
}

impl SshdConfig {
    /// The drop-in has that text.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into() }
    }
}

/// Where SSH is started by its socket there may be nothing to reload.
const RELOAD: &str = "systemctl try-reload-or-restart ssh.service";

impl Kind for SshdConfig {
    const NAME: &'static str = "sshd_config";
    type Seen = SshdConfigSeen;

    fn id(&self) -> String {
        PATH.to_owned()
    }

    fn files(&self) -> Vec<File> {
        let check = Validator::new("mkdir -p /run/sshd && /usr/sbin/sshd -t");
        vec![File::new(PATH, &self.text).validate(check)]
    }

    fn probe(_all: &[&Self]) -> String {
        "if [ -e /var/lib/marg/owed/sshd.reload ]; then echo 'own 0 owed'; fi".to_owned()
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<SshdConfigSeen>, Misread> {
        backed::read(all, lines)?
            .into_iter()
            .map(|(file, own)| match own.as_slice() {
                [] => Ok(SshdConfigSeen { file, owed: false }),
                ["owed"] => Ok(SshdConfigSeen { file, owed: true }),
                other => Err(Self::misread(other.join(" | "))),
            })
            .collect()
    }

    fn fresh(&self) -> SshdConfigSeen {
        SshdConfigSeen { file: backed::missing(&self.files()), owed: false }
    }

    fn diff(&self, seen: &SshdConfigSeen, _before: &Before) -> Verdict {
        let files = backed::diff(&self.files(), &seen.file, "owe sshd reload\n");
        let mut reasons = files.reasons;
        if seen.owed {
            reasons.push("reload (owed by an earlier run)".to_owned());
        }
        if reasons.is_empty() {
            return Verdict::Converged;
        }
        let path = quote(PATH);
        let guarded = Guarded {
            save: format!("if [ -e {path} ]; then cp -p {path} \"$RESCUE/sshd.conf\"; fi"),
            // The text is open: it holds no secrets, and displays as it is.
            script: format!("{}{RELOAD}\npaid sshd", files.script),
            restore: format!(
                "if [ -e \"$RESCUE/sshd.conf\" ]; then cp -p \"$RESCUE/sshd.conf\" {path}; \
                 else rm -f {path}; fi\n{RELOAD}"
            ),
        };
        Verdict::Will(Change {
            action: files.action.unwrap_or(Action::Run),
            summary: reasons.join(", "),
            diff: files.diff,
            work: Work::Guarded(guarded),
        })
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::kind::Resource;
    use crate::testing::Host;

    fn summary(lines: &[String]) -> Option<String> {
        let config = SshdConfig::new("PasswordAuthentication no\n");
        let seen = SshdConfig::read(&[&config], lines).unwrap();
        match config.diff(&seen[0], &Before::default()) {
            Verdict::Will(change) => Some(change.summary),
            _ => None,
        }
    }

    #[test]
    fn cases() {
        let stat = format!("s 644 root root f|{PATH}");
        let same = vec![stat.clone(), format!("{PATH}: OK")];
        let owed = [same.clone(), vec!["own 0 owed".to_owned()]].concat();
        assert_eq!(summary(&same), None);
        assert_eq!(summary(&[]).as_deref(), Some("create"));
        assert_eq!(summary(&[stat, format!("{PATH}: FAILED")]).as_deref(), Some("content"));
        assert_eq!(summary(&owed).as_deref(), Some("reload (owed by an earlier run)"));
    }

    #[test]
    fn junk_is_an_error() {
        let config = SshdConfig::new("");
        for line in ["junk", "own 0 perhaps"] {
            assert!(SshdConfig::read(&[&config], &[line.to_owned()]).is_err(), "{line}");
        }
    }

    #[test]
    fn a_real_server_takes_good_configuration_only() {
        let Some(host) = Host::named("MARG_TRY_HOST") else { return };
        host.run("systemctl start ssh");
        let wanted = |text: &str| [Resource::from(SshdConfig::new(text))];
        host.converge(&wanted("PasswordAuthentication no\n"));
        host.converge(&wanted("PasswordAuthentication no\nMaxAuthTries 4\n"));
        assert!(host.run("sshd -T").contains("maxauthtries 4\n"));
        let output = host.apply(&host.plan(&wanted("NoSuchKey yes\n")));
        assert!(output.contains("refused by"), "{output}");
        assert!(host.plan(&wanted("PasswordAuthentication no\nMaxAuthTries 4\n")).is_empty());
    }
}
