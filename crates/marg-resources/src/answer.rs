//! What a host says: the output of a probe script, cut into one section per kind.

use std::collections::BTreeMap;

use thiserror::Error;

/// Output that a parser does not understand is never "unchanged".
#[derive(Debug, Error, PartialEq, Eq)]
pub enum Misread {
    /// A section did not arrive.
    #[error(
        "the probe's answer has no section `{kind}`: the host's shell ended early; look at the host's load, memory and disk, then run the same command again"
    )]
    Missing {
        /// Kind whose section is missing.
        kind: String,
    },
    /// The host's part of a probe failed.
    #[error("the probe of {kind} failed on the host with status {status}: {output}")]
    Failed {
        /// Kind whose probe failed.
        kind: String,
        /// Exit status of its part of the script.
        status: String,
        /// Its output.
        output: String,
    },
    /// A line makes no sense.
    #[error("the probe of {kind} answered something that marg does not understand: {line:?}")]
    Line {
        /// Kind whose parser refused.
        kind: String,
        /// The line, or a description of what was expected.
        line: String,
    },
    /// The host runs something that marg does not know.
    #[error("the host says it runs {found:?}, which marg does not support; use one of: {known}")]
    Distro {
        /// `ID` and `VERSION_ID` of its os-release.
        found: String,
        /// Supported ones.
        known: String,
    },
}

/// What every probe tells besides its resources.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// `ID` of `/etc/os-release`.
    pub os_id: String,
    /// `VERSION_ID` of `/etc/os-release`; empty on Debian's testing and unstable.
    pub os_version: String,
    /// Host name.
    pub hostname: String,
    /// Whether a reboot is asked for by an upgrade.
    pub reboot_required: bool,
}

/// What a look printed outside of sections; in a probe, how each section ended.
pub const SAID: &str = "said";

/// The part that a line of [`crate::FRAME`]'s belongs to, and what was said.
pub fn framed(line: &str) -> Option<(&str, &str)> {
    line.strip_prefix("./")?.split_once(':')
}

/// A probe's answer.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    sections: BTreeMap<String, Section>,
}

#[derive(Clone, Debug, Default)]
struct Section {
    lines: Vec<String>,
    status: Option<String>,
}

impl Answer {
    /// Sorts what [`crate::FRAME`] printed of a [`crate::probe_script`] into sections.
    pub fn parse(output: &str) -> Answer {
        let mut answer = Answer::default();
        // Not `lines`: that takes a carriage return for part of the newline, and a name may end
        // in one.
        for line in output.split('\n') {
            let Some((part, text)) = framed(line) else {
                continue;
            };
            match text.split_once(' ') {
                Some((kind, status)) if part == SAID => {
                    answer.section_mut(kind).status = Some(status.to_owned());
                }
                _ => answer.section_mut(part).lines.push(text.to_owned()),
            }
        }
        answer
    }

    /// An answer with one more section that went well.
    #[must_use]
    pub fn with(mut self, kind: &str, lines: &str) -> Answer {
        let section = self.section_mut(kind);
        section.lines = lines.lines().map(str::to_owned).collect();
        section.status = Some("0".to_owned());
        self
    }

    fn section_mut(&mut self, kind: &str) -> &mut Section {
        self.sections.entry(kind.to_owned()).or_default()
    }

    /// The lines of a kind's section; an error where it is missing, cut off or failed.
    pub fn section(&self, kind: &str) -> Result<&[String], Misread> {
        let missing = || Misread::Missing {
            kind: kind.to_owned(),
        };
        let section = self.sections.get(kind).ok_or_else(missing)?;
        match section.status.as_deref() {
            Some("0") => Ok(&section.lines),
            Some(status) => Err(Misread::Failed {
                kind: kind.to_owned(),
                status: status.to_owned(),
                output: section.lines.join(" | "),
            }),
            None => Err(missing()),
        }
    }

    /// What the host says of itself.
    pub fn facts(&self) -> Result<Facts, Misread> {
        let mut facts = Facts::default();
        for line in self.section("facts")? {
            match line.split_once('=') {
                Some(("id", value)) => facts.os_id = value.to_owned(),
                Some(("version", value)) => facts.os_version = value.to_owned(),
                Some(("hostname", value)) => facts.hostname = value.to_owned(),
                Some(("reboot", value)) => facts.reboot_required = value == "yes",
                _ => {
                    return Err(Misread::Line {
                        kind: "facts".to_owned(),
                        line: line.clone(),
                    });
                }
            }
        }
        Ok(facts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_carriage_return_belongs_to_the_line() {
        let answer = Answer::parse("./a:x\r\n./said:a 0\n");
        assert_eq!(answer.section("a"), Ok(&["x\r".to_owned()][..]));
    }

    #[test]
    fn a_cut_off_or_failed_section_is_an_error() {
        let answer = Answer::parse("./a:x\n./b:oops\n./c:\n./said:a 0\n./said:b 2\n");
        assert_eq!(answer.section("a"), Ok(&["x".to_owned()][..]));
        assert!(matches!(answer.section("b"), Err(Misread::Failed { .. })));
        assert!(matches!(answer.section("c"), Err(Misread::Missing { .. })));
        assert!(matches!(answer.section("d"), Err(Misread::Missing { .. })));
    }
}
