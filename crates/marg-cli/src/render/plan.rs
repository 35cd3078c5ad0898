//! A plan: the cloud, the cost, every host.

use marg::{Action, Blueprint, CloudChange, EnvironmentPlan, HostPlan, PlannedChange, Status};
use serde_json::{Value, json};

use super::diff::diff;
use super::{mark, monthly, trimmed};
use crate::output::{BOLD, DIM, GREEN, YELLOW, clean, count, paint};

/// Where a change's one-line summary begins, at least and at most.
const SUMMARY: std::ops::RangeInclusive<usize> = 32..=66;

/// Everything that would change; `all` shows whole diffs.
pub fn plan(blueprint: &Blueprint, plan: &EnvironmentPlan, all: bool) -> String {
    let environment = &blueprint.environment;
    let title = format!(
        "{} · phase {} · {}",
        environment.name, blueprint.phase.number, environment.region
    );
    let mut text = format!("{}\n", paint(BOLD, &title));
    text.push_str(&cloud(plan, all));
    text.push_str(&order(plan));
    for host in &plan.hosts {
        text.push_str(&self::host(host, all));
    }
    for unseen in &plan.unseen {
        let said = paint(YELLOW, " · not known: it could not be looked at");
        text.push_str(&format!("\n{}{said}\n", paint(BOLD, &unseen.name)));
    }
    if !plan.notes.is_empty() {
        text.push('\n');
    }
    for message in &plan.notes {
        text.push_str(&format!("{} {}\n", paint(YELLOW, "note:"), clean(message)));
    }
    text.push_str(&format!("\n{}\n", summary(plan)));
    trimmed(&text)
}

fn cloud(plan: &EnvironmentPlan, all: bool) -> String {
    let mut text = format!("\n{}", paint(BOLD, "cloud"));
    if plan.cloud.is_empty() {
        text.push_str(&paint(DIM, " · nothing to change"));
    }
    text.push('\n');
    text.push_str(&cloud_changes(&plan.cloud, all));
    if let Some(cost) = plan.monthly {
        text.push_str(&format!("  droplets: {}\n", monthly(cost)));
    }
    text
}

/// What happens in which order when the environment moves while it serves.
fn order(plan: &EnvironmentPlan) -> String {
    if plan.order.is_empty() {
        return String::new();
    }
    let lines = (1..).zip(&plan.order);
    let lines = lines.map(|(number, line)| format!("  {number}. {}\n", clean(line)));
    format!(
        "\n{}\n{}",
        paint(BOLD, "in order"),
        lines.collect::<String>()
    )
}

/// Changes in the cloud, their details in one column.
pub fn cloud_changes<'a>(changes: impl IntoIterator<Item = &'a CloudChange>, all: bool) -> String {
    let name = |change: &CloudChange| format!("{} {}", change.kind.word(), clean(&change.name));
    let named = changes.into_iter().map(|change| (name(change), change));
    let named: Vec<(String, &CloudChange)> = named.collect();
    let width = column(named.iter().map(|(name, _)| name.as_str()));
    named
        .iter()
        .map(|(name, change)| cloud_change(name, width, change, all))
        .collect()
}

/// Where the second column begins.
fn column<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let longest = names
        .map(|name| name.chars().count())
        .max()
        .unwrap_or_default();
    longest.clamp(*SUMMARY.start(), *SUMMARY.end())
}

/// A single detail stands on the same line; the details of something new are left to `all`.
fn cloud_change(name: &str, width: usize, change: &CloudChange, all: bool) -> String {
    let mark = mark(change.action);
    match change.details.as_slice() {
        [] => format!("  {mark} {name}\n"),
        [one] => format!("  {mark} {name:width$} {}\n", clean(one)),
        many if change.action == Action::Create && !all => {
            format!("  {mark} {name:width$} {}\n", count(many.len(), "detail"))
        }
        many => {
            let lines = many.iter().map(|line| format!("      {}\n", clean(line)));
            format!("  {mark} {name}\n{}", lines.collect::<String>())
        }
    }
}

fn host(host: &HostPlan, all: bool) -> String {
    let name = paint(BOLD, &host.name);
    if host.is_empty() {
        return format!("\n{name}{}\n", paint(DIM, " · nothing to change"));
    }
    let width = column(host.changes.iter().map(|change| change.resource.as_str()));
    let changes = host
        .changes
        .iter()
        .map(|change| self::change(change, width, all));
    let changes: String = changes.collect();
    format!(
        "\n{name} · {}\n{changes}",
        count(host.changes.len(), "change")
    )
}

fn change(change: &PlannedChange, width: usize, all: bool) -> String {
    let sure = match &change.status {
        Status::Will => String::new(),
        Status::May => paint(YELLOW, " (only if something before it changes)"),
        Status::Unknown(until) => paint(YELLOW, &format!(" (known once {})", clean(until))),
    };
    let resource = clean(&change.resource);
    let line = format!(
        "  {} {resource:width$} {}{sure}",
        mark(change.action),
        clean(&change.summary)
    );
    let diff = change.diff.as_ref().map(|text| diff(text, all, "      "));
    format!("{line}\n{}", diff.unwrap_or_default())
}

fn summary(plan: &EnvironmentPlan) -> String {
    if plan.is_empty() && plan.hosts.is_empty() {
        return "No host could be looked at. Nothing was changed.".to_owned();
    }
    if plan.is_empty() {
        let hosts = count(plan.hosts.len(), "host");
        let are = if plan.hosts.len() == 1 {
            "is as it"
        } else {
            "are as they"
        };
        return paint(
            GREEN,
            &format!("Nothing to change: {hosts} {are} should be."),
        );
    }
    let counted = plan.summary;
    let mut parts = Vec::new();
    let mut add = |number: usize, text: &dyn Fn(usize) -> String| {
        if number > 0 {
            parts.push(text(number));
        }
    };
    add(counted.create, &|n| {
        format!("{} to create", count(n, "droplet"))
    });
    add(counted.destroy, &|n| {
        format!("{} to destroy", count(n, "droplet"))
    });
    add(counted.will, &|n| {
        format!("{} will happen", count(n, "change"))
    });
    add(counted.may, &|n| {
        format!("{n} only if something before changes")
    });
    add(counted.unknown, &|n| format!("{n} known later"));
    format!(
        "{} Nothing was changed.",
        paint(BOLD, &format!("{}.", parts.join(", ")))
    )
}

/// The plan for programs: `status` is always a word, and `until` stands beside `unknown`.
pub fn plan_document(plan: &EnvironmentPlan) -> Value {
    let mut document = json!(plan);
    let hosts = document["hosts"].as_array_mut().into_iter().flatten();
    for change in hosts.flat_map(|host| host["changes"].as_array_mut().into_iter().flatten()) {
        let until = change["status"].get_mut("unknown").map(Value::take);
        if let Some(until) = until {
            change["status"] = json!("unknown");
            change["until"] = until;
        }
    }
    document
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::testing::plain;

    #[test]
    fn a_fleet_that_does_not_exist_yet() {
        let (blueprint, fresh) = samples::fresh_plan();
        insta::assert_snapshot!("plan-fresh", plain(&plan(&blueprint, &fresh, false)));
    }

    #[test]
    fn changes_of_every_kind_and_status() {
        let (blueprint, changes) = samples::mixed_plan();
        insta::assert_snapshot!("plan-changes", plain(&plan(&blueprint, &changes, false)));
        insta::assert_snapshot!("plan-changes-all", plain(&plan(&blueprint, &changes, true)));
    }

    #[test]
    fn nothing_to_change() {
        let (blueprint, converged) = samples::converged_plan();
        insta::assert_snapshot!(
            "plan-converged",
            plain(&plan(&blueprint, &converged, false))
        );
    }

    /// Scripts read it: its shape is a promise.
    #[test]
    fn the_document() {
        let (_, changes) = samples::mixed_plan();
        let document = serde_json::to_string_pretty(&plan_document(&changes)).unwrap_or_default();
        insta::assert_snapshot!("plan-document", document);
    }
}
