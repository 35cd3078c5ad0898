//! Desired minus observed: what will be done to a host, in order. Pure, and it leaves no
//! choices to whoever applies it.

use std::time::Duration;

use serde::Serialize;

use crate::answer::{Answer, Misread};
use crate::change::{
    Action, Change, Guarded, Install, OwedAction, Place, Status, TextDiff, Verdict, Work,
};
use crate::kind::{Before, Resource};
use crate::kinds::{self, Seen, State};
use crate::quote::{quote, quote_all};
use crate::script::Shell;

/// What will be done to one host.
#[derive(Clone, Debug, Default, Serialize)]
pub struct HostPlan {
    /// Host name.
    pub name: String,
    /// Changes in order.
    pub changes: Vec<PlannedChange>,
    /// The steps that make them; one step may make several changes.
    #[serde(skip)]
    pub steps: Vec<Step>,
    /// What belongs to somebody else; where there is any, nothing is done to the host.
    #[serde(skip)]
    pub refusals: Vec<String>,
}

/// One change as people and `plan --json` see it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PlannedChange {
    /// `kind id`.
    pub resource: String,
    /// What is done.
    pub action: Action,
    /// How sure it is.
    pub status: Status,
    /// One line.
    pub summary: String,
    /// Old and new text, where there is something to show.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<TextDiff>,
}

/// Something that runs on the host as a whole.
#[derive(Clone, Debug)]
pub struct Step {
    /// What it does, in one line.
    pub name: String,
    /// What runs.
    pub body: Shell,
    /// How long it may take before the controller gives up on it.
    pub deadline: Duration,
    /// Whether a timer is armed that undoes it unless a new connection succeeds.
    pub guarded: bool,
}

impl Step {
    /// A step that no timer undoes.
    pub fn new(name: impl Into<String>, body: Shell, deadline: Duration) -> Step {
        Step {
            name: name.into(),
            body,
            deadline,
            guarded: false,
        }
    }
}

/// How long a step may take. Generous: it ends a hang, it is no measure of speed.
const DEADLINE: Duration = Duration::from_secs(600);
/// Package installation on a slow mirror.
const INSTALL_DEADLINE: Duration = Duration::from_secs(1800);

impl HostPlan {
    /// Whether nothing is to be done.
    pub fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }
}

/// Reads a probe's answer and plans. `resources` is what the host should be.
pub fn plan(host: &str, resources: &[Resource], answer: &Answer) -> Result<HostPlan, Misread> {
    let ordered = in_order(resources);
    let states: Vec<&State> = ordered.iter().map(|resource| &resource.state).collect();
    let seen = kinds::read(&states, answer)?;
    decide(host, &ordered, &seen, Before::default())
}

/// Plans for a host that does not exist yet: everything is still to be made.
pub fn plan_fresh(host: &str, resources: &[Resource]) -> Result<HostPlan, Misread> {
    let ordered = in_order(resources);
    let seen: Vec<Seen> = ordered
        .iter()
        .map(|resource| resource.state.fresh())
        .collect();
    decide(
        host,
        &ordered,
        &seen,
        Before {
            fresh: true,
            ..Before::default()
        },
    )
}

/// The resources by rank, then in the order of the roles. The first of several equal ones
/// (two roles want the same package) stands for all.
fn in_order(resources: &[Resource]) -> Vec<&Resource> {
    let mut names = std::collections::BTreeSet::new();
    let mut ordered: Vec<&Resource> = resources
        .iter()
        .filter(|resource| names.insert(resource.name()))
        .collect();
    ordered.sort_by_key(|resource| resource.state.rank());
    ordered
}

fn decide(
    host: &str,
    resources: &[&Resource],
    seen: &[Seen],
    mut before: Before,
) -> Result<HostPlan, Misread> {
    let mut steps = Steps::default();
    let (mut changes, mut refusals) = (Vec::new(), Vec::new());
    for (resource, seen) in resources.iter().zip(seen) {
        let (status, change) = match resource.state.diff(seen, &before)? {
            Verdict::Converged => continue,
            Verdict::Will(change) => (Status::Will, change),
            Verdict::May(change) => (Status::May, change),
            Verdict::Unknown { until, change } => (Status::Unknown(until), change),
            Verdict::Refused { reason } => {
                refusals.push(reason);
                continue;
            }
        };
        before.changed.insert(resource.name());
        before.remember(&resource.notices, status != Status::May);
        steps.add(resource, &change);
        changes.push(PlannedChange {
            resource: resource.name(),
            action: change.action,
            status,
            summary: change.summary,
            diff: change.diff,
        });
    }
    Ok(HostPlan {
        name: host.to_owned(),
        changes,
        steps: steps.finish(),
        refusals,
    })
}

/// Collects works into steps: all packages in one, neighbours with one validator in one.
#[derive(Default)]
struct Steps {
    done: Vec<Step>,
    open: Option<OpenStep>,
}

enum OpenStep {
    Install(Vec<String>, Shell),
    Place(Vec<(String, Place, Shell)>),
    Guarded(Vec<(String, Guarded)>, Shell),
}

impl Steps {
    fn add(&mut self, resource: &Resource, change: &Change) {
        let owes = owes(resource);
        match &change.work {
            Work::Install(install) => self.install(install, owes),
            Work::Place(place) => self.place(resource.name(), place, owes),
            Work::Script(script) => {
                self.close();
                let name = format!("{}: {}", resource.name(), change.summary);
                self.push(name, owes.then(script.clone()), DEADLINE, false);
            }
            Work::Guarded(guarded) => self.guarded(resource.name(), guarded, owes),
        }
    }

    fn install(&mut self, install: &Install, owes: Shell) {
        if !matches!(self.open, Some(OpenStep::Install(..))) {
            self.close();
            self.open = Some(OpenStep::Install(Vec::new(), Shell::default()));
        }
        if let Some(OpenStep::Install(packages, before)) = &mut self.open {
            packages.extend(install.packages.iter().cloned());
            *before = std::mem::take(before).then(owes);
        }
    }

    fn place(&mut self, name: String, place: &Place, owes: Shell) {
        let fits = matches!(&self.open, Some(OpenStep::Place(places))
            if places.iter().all(|(_, other, _)| other.validator == place.validator));
        if !fits {
            self.close();
            self.open = Some(OpenStep::Place(Vec::new()));
        }
        if let Some(OpenStep::Place(places)) = &mut self.open {
            places.push((name, place.clone(), owes));
        }
    }

    fn guarded(&mut self, name: String, guarded: &Guarded, owes: Shell) {
        if !matches!(self.open, Some(OpenStep::Guarded(..))) {
            self.close();
            self.open = Some(OpenStep::Guarded(Vec::new(), Shell::default()));
        }
        if let Some(OpenStep::Guarded(all, before)) = &mut self.open {
            all.push((name, guarded.clone()));
            *before = std::mem::take(before).then(owes);
        }
    }

    fn close(&mut self) {
        match self.open.take() {
            None => {}
            Some(OpenStep::Install(packages, owes)) => {
                let body = owes.text(format!("apt_install {}", quote_all(&packages)));
                self.push(install_name(&packages), body, INSTALL_DEADLINE, false);
            }
            Some(OpenStep::Place(places)) => {
                let name = place_name(places.iter().map(|(name, ..)| name));
                self.push(name, place_body(places), DEADLINE, false);
            }
            Some(OpenStep::Guarded(all, owes)) => {
                let name = place_name(all.iter().map(|(name, _)| name));
                self.push(name, owes.then(guarded_body(&all)), DEADLINE, true);
            }
        }
    }

    fn push(&mut self, name: String, body: Shell, deadline: Duration, guarded: bool) {
        self.done.push(Step {
            name,
            body,
            deadline,
            guarded,
        });
    }

    fn finish(mut self) -> Vec<Step> {
        self.close();
        self.done
    }
}

fn owes(resource: &Resource) -> Shell {
    let lines = resource.notices.iter().map(|notice| {
        let word = match notice.action {
            OwedAction::Reload => "reload",
            OwedAction::Restart => "restart",
        };
        format!("owe {} {word}\n", quote(&notice.unit))
    });
    Shell::new(lines.collect::<String>())
}

fn install_name(packages: &[String]) -> String {
    match packages {
        [one] => format!("install {one}"),
        many => format!("install {} packages", many.len()),
    }
}

fn place_name<'a>(mut names: impl ExactSizeIterator<Item = &'a String>) -> String {
    match (names.next(), names.len()) {
        (Some(name), 0) => format!("write {name}"),
        (Some(name), more) => format!("write {name} and {more} more"),
        (None, _) => String::new(),
    }
}

/// Stage all, check all, and only then put all in place.
fn place_body(places: Vec<(String, Place, Shell)>) -> Shell {
    let mut body = Shell::new("rm -rf \"$STAGE\"\nmkdir -p \"$STAGE\"\n");
    for (_, place, _) in &places {
        body = body.then(place.stage.clone()).text("\n");
    }
    if let Some(validator) = places
        .first()
        .and_then(|(_, place, _)| place.validator.as_ref())
    {
        body = body.text(format!("validate {}\n", quote(&validator.command)));
    }
    // Owed only now: a refused file changes nothing and obliges nobody.
    for (_, place, owes) in places {
        body = match &place.guard {
            Some(guard) => body
                .text(format!("if {guard}; then :\n"))
                .then(owes)
                .text("fi\n"),
            None => body.then(owes),
        };
        body = body.text(format!("{}\n", place.commit));
    }
    body
}

/// Arms the timer, makes all changes, and waits for the controller to confirm that a new
/// connection succeeds; otherwise everything goes back, the last change first. What several
/// changes save and restore in the same way is saved and restored once.
fn guarded_body(all: &[(String, Guarded)]) -> Shell {
    let (mut saves, mut scripts, mut restores) = (Vec::new(), String::new(), Vec::new());
    for (_, guarded) in all {
        if !saves.contains(&guarded.save) {
            saves.push(guarded.save.clone());
        }
        if !restores.contains(&guarded.restore) {
            restores.insert(0, guarded.restore.clone());
        }
        scripts.push_str(&format!("{}\n", guarded.script));
    }
    Shell::new(format!(
        "guard_prepare\n{}\nguard_arm <<'MARG_RESTORE'\n{}\nMARG_RESTORE\n{scripts}guard_wait\n",
        saves.join("\n"),
        restores.join("\n"),
    ))
}
