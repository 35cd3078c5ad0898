//! The contract of a resource kind, and the one type that holds any of them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use crate::answer::Misread;
use crate::change::{Notice, OwedAction, Verdict};
use crate::kinds::File;
pub use crate::kinds::{Seen, State};

/// One kind of resource: `package`, `file`, `service`, …
pub trait Kind: Clone + Debug {
    /// Name in plans, probes and documents: one lower-case word or two joined by `_`.
    const NAME: &'static str;
    /// Kinds with a lower rank come first on a host: swap, then repositories, then packages
    /// (all in one `apt-get`), then everything else in the order of the roles.
    const RANK: u8 = 50;
    /// What a host says about one resource of this kind.
    type Seen: Clone + Debug + PartialEq;

    /// What makes it unique among its kind on a host: a path, a name. No spaces where possible.
    fn id(&self) -> String;

    /// Its files. One part of the probe reads the files of all kinds at once; what it says about
    /// them comes to [`Kind::read`] together with what [`Kind::probe`] printed.
    fn files(&self) -> Vec<File> {
        Vec::new()
    }

    /// Paths beside those of its files, of which it is asked what they are: read like the files, all
    /// at once, and for [`Kind::read`] too.
    fn paths(&self) -> Vec<String> {
        Vec::new()
    }

    /// Its systemd units, read like the files: all at once, and for [`Kind::read`] too.
    fn units(&self) -> Vec<String> {
        Vec::new()
    }

    /// Writes the part of the probe that reads **all** resources of this kind at once, with as
    /// few processes as possible. It prints lines of its own choosing (free text base64-encoded),
    /// and ends with status 0 unless the host cannot be read.
    fn probe(all: &[&Self]) -> String;

    /// Reads what [`Kind::probe`] printed: one `Seen` per resource, in order. A line that it does
    /// not understand, or a resource without an answer, is an error.
    fn read(all: &[&Self], lines: &[String]) -> Result<Vec<Self::Seen>, Misread>;

    /// What a fresh host would say: nothing of it exists.
    fn fresh(&self) -> Self::Seen;

    /// Desired minus observed. `before` tells what earlier resources of the host will change.
    fn diff(&self, seen: &Self::Seen, before: &Before) -> Verdict;

    /// A line that this kind's parser does not understand.
    fn misread(line: impl Into<String>) -> Misread {
        Misread::Line {
            kind: Self::NAME.to_owned(),
            line: line.into(),
        }
    }
}

/// What earlier resources of the same host will change.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// What services owe because of changes in this plan.
    pub owed: BTreeMap<String, OwedAction>,
    /// What services will owe only if something that may change does.
    pub may_owe: BTreeMap<String, OwedAction>,
    /// `kind id` of resources that will, may or might change.
    pub changed: BTreeSet<String>,
    /// Whether the host does not exist yet.
    pub fresh: bool,
}

impl Before {
    /// Remembers what a change obliges services to; `surely` when it will happen.
    pub(crate) fn remember(&mut self, notices: &[Notice], surely: bool) {
        let ledger = if surely {
            &mut self.owed
        } else {
            &mut self.may_owe
        };
        for notice in notices {
            let owed = ledger.entry(notice.unit.clone()).or_insert(notice.action);
            *owed = (*owed).max(notice.action);
        }
    }

    /// Whether packages are installed before: they bring files that nobody has asked for.
    pub fn brings_files(&self) -> bool {
        self.fresh || self.changed.iter().any(|name| name.starts_with("package "))
    }

    /// Whether any of these resources (`kind id`) changes before.
    pub fn any_changed<'a>(&self, watched: impl IntoIterator<Item = &'a String>) -> bool {
        watched.into_iter().any(|name| self.changed.contains(name))
    }
}

/// A resource with what its change obliges services to.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The desired state.
    pub state: State,
    /// What services owe when it changes.
    pub notices: Vec<Notice>,
}

impl Resource {
    /// `kind id`, for example `file /etc/nginx/nginx.conf`: its name in plans.
    pub fn name(&self) -> String {
        format!("{} {}", self.state.kind(), self.state.id())
    }
}

impl<T: Into<State>> From<T> for Resource {
    fn from(state: T) -> Self {
        Resource {
            state: state.into(),
            notices: Vec::new(),
        }
    }
}

/// `resource.notify(…)` on any kind.
pub trait Notify {
    /// Adds an obligation.
    fn notify(self, notice: Notice) -> Resource;
}

impl<T: Into<Resource>> Notify for T {
    fn notify(self, notice: Notice) -> Resource {
        let mut resource = self.into();
        resource.notices.push(notice);
        resource
    }
}
