//! `apt_repository`: a package source in deb822 form, and package lists that know it.

use super::backed;
use crate::answer::Misread;
use crate::change::{Action, Change, Verdict, Work};
use crate::kind::{Before, Kind};
use crate::kinds::File;
use crate::kinds::file::FileSeen;
use crate::quote::quote;
use crate::script::Shell;

/// A package source, `/etc/apt/sources.list.d/marg-NAME.sources`.
#[derive(Clone, Debug, PartialEq)]
pub struct AptRepository {
    name: String,
    text: Option<String>,
}

/// What a host says of a package source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AptRepositorySeen {
    file: Vec<FileSeen>,
    /// Whether an earlier run wrote it, but did not get the lists.
    owed: bool,
}

impl AptRepository {
    /// The source exists. `text` is in deb822 form; a key may be given inline in `Signed-By`.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: Some(text.into()) }
    }

    /// The source does not exist.
    #[must_use]
    pub fn absent(name: impl Into<String>) -> Self {
        Self { name: name.into(), text: None }
    }

    fn path(&self) -> String {
        format!("/etc/apt/sources.list.d/marg-{}.sources", self.name)
    }

    fn debt(&self) -> String {
        format!("apt-{}", self.name)
    }

    /// The new source stays only if its lists can be had; otherwise every later installation on
    /// this host would fail, too.
    fn script(&self, write: Shell) -> Shell {
        let (path, debt) = (quote(&self.path()), quote(&self.debt()));
        Shell::new(format!(
            "owe {debt} reload\nrm -f \"$MARG/apt-old\"\n\
             if [ -e {path} ]; then cp -pT -- {path} \"$MARG/apt-old\"; fi\n"
        ))
        .then(write)
        .text(format!(
            "if ! apt_update; then\n\
             if [ -e \"$MARG/apt-old\" ]; then mv -fT -- \"$MARG/apt-old\" {path}; \
             else rm -f -- {path}; fi\n\
             paid {debt}\n\
             echo 'the package source was taken back; correct it and run again'\n\
             exit 1\n\
             fi\nrm -f \"$MARG/apt-old\"\npaid {debt}"
        ))
    }
}

impl Kind for AptRepository {
    const NAME: &'static str = "apt_repository";
    const RANK: u8 = 10;
    type Seen = AptRepositorySeen;

    fn id(&self) -> String {
        self.name.clone()
    }

    fn files(&self) -> Vec<File> {
        vec![match &self.text {
            Some(text) => File::new(self.path(), text),
            None => File::absent(self.path()),
        }]
    }

    fn probe(all: &[&Self]) -> String {
        let owed = all.iter().enumerate().map(|(place, repository)| {
            let path = quote(&format!("{}.reload", repository.debt()));
            format!("if [ -e /var/lib/marg/owed/{path} ]; then echo 'own {place} owed'; fi\n")
        });
        owed.collect()
    }

    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<AptRepositorySeen>, Misread> {
        backed::read(all, lines)?
            .into_iter()
            .map(|(file, own)| match own.as_slice() {
                [] => Ok(AptRepositorySeen { file, owed: false }),
                ["owed"] => Ok(AptRepositorySeen { file, owed: true }),
                other => Err(Self::misread(other.join(" | "))),
            })
            .collect()
    }

    fn fresh(&self) -> AptRepositorySeen {
        AptRepositorySeen { file: backed::missing(&self.files()), owed: false }
    }

    fn diff(&self, seen: &AptRepositorySeen, _before: &Before) -> Verdict {
        let files = backed::diff(&self.files(), &seen.file, "");
        if files.action.is_none() && !seen.owed {
            return Verdict::Converged;
        }
        let mut reasons = files.reasons;
        if seen.owed {
            reasons.push("update the package lists (owed by an earlier run)".to_owned());
        }
        Verdict::Will(Change {
            action: files.action.unwrap_or(Action::Run),
            summary: reasons.join(", "),
            diff: files.diff,
            work: Work::Script(self.script(files.script)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kind::Resource;
    use crate::testing::Host;

    const PATH: &str = "/etc/apt/sources.list.d/marg-php.sources";

    fn summary(desired: &AptRepository, lines: &[String]) -> Option<String> {
        let seen = AptRepository::read(&[desired], lines).expect("readable");
        match desired.diff(&seen[0], &Before::default()) {
            Verdict::Will(change) => Some(change.summary),
            _ => None,
        }
    }

    #[test]
    fn cases() {
        let php = AptRepository::new("php", "Types: deb\n");
        let stat = format!("s 644 root root f|{PATH}");
        let same = vec![stat.clone(), format!("{PATH}: OK")];
        let other = vec![stat, format!("{PATH}: FAILED")];
        let mut owed = same.clone();
        owed.push("own 0 owed".to_owned());
        assert_eq!(summary(&php, &same), None);
        assert_eq!(summary(&php, &other).as_deref(), Some("content"));
        assert_eq!(summary(&php, &[]).as_deref(), Some("create"));
        assert!(summary(&php, &owed).is_some());
        assert_eq!(summary(&AptRepository::absent("php"), &other).as_deref(), Some("remove"));
        assert_eq!(summary(&AptRepository::absent("php"), &[]), None);
    }

    #[test]
    fn junk_is_an_error() {
        let php = AptRepository::new("php", "");
        for line in ["junk", "own 1 owed", "own 0 perhaps", "own x owed"] {
            assert!(AptRepository::read(&[&php], &[line.to_owned()]).is_err(), "{line}");
        }
    }

    #[test]
    fn a_real_host_keeps_only_a_source_whose_lists_it_gets() {
        let Some(host) = Host::named("MARG_TRY_HOST") else { return };
        host.run(
            "mkdir -p /srv/try-apt /srv/try-sources; : > /srv/try-apt/Packages; cd /etc/apt
             mv sources.list sources.list.d/*.sources /srv/try-sources/ 2>/dev/null",
        );
        let source = |folder: &str| {
            let text = format!("Types: deb\nURIs: file:{folder}\nSuites: ./\nTrusted: yes\n");
            [Resource::from(AptRepository::new("try", text))]
        };
        assert_eq!(host.converge(&source("/srv/try-apt")), ["create"]);
        let output = host.apply(&host.plan(&source("/srv/gone")));
        assert!(output.contains("was taken back"), "{output}");
        assert!(host.plan(&source("/srv/try-apt")).is_empty(), "the old one is back");
        assert_eq!(host.converge(&[AptRepository::absent("try").into()]), ["remove"]);
        host.run(
            "mv /srv/try-sources/*.sources /etc/apt/sources.list.d/ 2>/dev/null
             mv /srv/try-sources/* /etc/apt/ 2>/dev/null",
        );
    }
}
