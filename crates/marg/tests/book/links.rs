//! Every page is in the table of contents, and every relative link leads to a page and a heading.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::{pages, root, text};

/// All Markdown files below a folder.
fn markdown(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(markdown(&path));
        } else if path.extension().is_some_and(|end| end == "md") {
            found.push(path);
        }
    }
    found.sort();
    found
}

/// The prose of a page: what stands in fenced blocks is no Markdown.
fn prose(text: &str) -> String {
    let mut inside = false;
    let lines = text.lines().filter(|line| {
        let fence = line.trim_start().starts_with("```");
        inside ^= fence;
        !inside && !fence
    });
    lines.collect::<Vec<_>>().join("\n")
}

/// Targets of `[words](target)`.
fn targets(text: &str) -> Vec<String> {
    let prose = prose(text);
    let starts = prose.match_indices("](").map(|(at, _)| at + 2);
    let ends = starts.filter_map(|start| {
        let rest = &prose[start..];
        Some(rest[..rest.find(')')?].to_owned())
    });
    ends.collect()
}

/// Anchors of a page's headings, as mdBook and Git hosts make them.
fn anchors(text: &str) -> BTreeSet<String> {
    let headings = prose(text);
    let headings = headings.lines().filter(|line| line.starts_with('#'));
    let anchor = |line: &str| -> String {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let kept = words.chars().filter_map(|c| match c {
            ' ' => Some('-'),
            c if c.is_alphanumeric() || c == '-' || c == '_' => Some(c),
            _ => None,
        });
        kept.collect()
    };
    headings.map(anchor).collect()
}

/// What is wrong with a link, if anything.
fn broken(page: &Path, target: &str) -> Option<String> {
    if target.contains("://") {
        return None;
    }
    let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
    let file = match path {
        "" => page.to_owned(),
        path => page.parent().unwrap().join(path),
    };
    if !file.exists() {
        return Some(format!("{}: no file {target}", page.display()));
    }
    let known = anchor.is_empty() || anchors(&text(&file)).contains(anchor);
    (!known).then(|| format!("{}: no heading {target}", page.display()))
}

#[test]
fn every_page_is_in_the_table_of_contents() {
    let summary = pages().join("SUMMARY.md");
    let listed: BTreeSet<PathBuf> = targets(&text(&summary))
        .into_iter()
        .map(|target| pages().join(target))
        .collect();
    let present: BTreeSet<PathBuf> = markdown(&pages())
        .into_iter()
        .filter(|page| *page != summary)
        .collect();
    assert_eq!(listed, present);
}

#[test]
fn every_relative_link_leads_somewhere() {
    let beside = ["README.md", "CONTRIBUTING.md", "tests/apps/README.md"];
    let beside = beside.map(|name| root().join(name));
    let all = markdown(&pages()).into_iter().chain(beside);
    let wrong: Vec<String> = all
        .flat_map(|page| {
            let targets = targets(&text(&page));
            let wrong = targets.iter().filter_map(|target| broken(&page, target));
            wrong.collect::<Vec<_>>()
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let page = pages().join("SUMMARY.md");
    assert_eq!(targets("see [a](b.md)\n```\n[c](d.md)\n```"), ["b.md"]);
    assert!(broken(&page, "no-such-page.md").is_some());
    assert!(broken(&page, "introduction.md#no-such-heading").is_some());
    assert!(broken(&page, "introduction.md").is_none());
}
