//! The reference pages, made from the code.

use std::fmt::Write as _;
use std::path::Path;

use marg_model::{Blueprint, Phase, builtin, parse, resolve};
use marg_resources::{Opening, Peer};
use marg_roles::ROLES;

use crate::{pages, root, text};

/// Compares a page with what the code says, or rewrites it.
fn check(name: &str, wanted: &str) {
    let path = pages().join("reference").join(name);
    if std::env::var_os("MARG_UPDATE_BOOK").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, wanted).unwrap();
    }
    assert!(
        path.exists() && text(&path) == wanted,
        "book/src/reference/{name} is not what the code says; \
         run MARG_UPDATE_BOOK=1 cargo test -p marg --test book"
    );
}

/// A page's beginning.
fn head(title: &str, about: &str) -> String {
    format!(
        "<!-- Made from the code by `cargo test -p marg --test book`; see that test. -->\n\n\
         # {title}\n\n{about}\n"
    )
}

fn phases() -> Vec<Phase> {
    builtin::phases(&marg_roles::schemas()).unwrap()
}

/// The example inventory in phase 2.
fn blueprint() -> Blueprint {
    let inventory = text(&root().join("inventories/marg.toml"));
    let schemas = marg_roles::schemas();
    let inventory = parse::inventory(&inventory, "marg.toml", &schemas, &phases()).unwrap();
    resolve::blueprint(&inventory, &phases()[1]).unwrap()
}

#[test]
fn roles() {
    let blueprint = blueprint();
    let mut page = head(
        "Roles",
        "A role makes a host something: a web server, a database. A phase gives roles to groups of\n\
         hosts. Settings are written below `[settings.<role>]` for every host,\n\
         `[groups.<group>.settings.<role>]` for a group, or `[hosts.<host>.settings.<role>]` for one\n\
         host; the narrower one wins. What is computed follows the memory of the host's droplet.",
    );
    for role in ROLES {
        let schema = role.schema();
        let _ = write!(page, "\n## {}\n\n{}\n", schema.name, schema.doc);
        let openings = role.openings(&blueprint);
        if !openings.is_empty() {
            let all: Vec<String> = openings.iter().map(opening).collect();
            let _ = write!(page, "\nOpens {}.\n", all.join(", "));
        }
        if schema.settings.is_empty() {
            page.push_str("\nIt has no settings.\n");
            continue;
        }
        page.push_str("\n| setting | value | default | what it is |\n|---|---|---|---|\n");
        for one in schema.settings {
            let (name, kind, default, doc) = (one.name, one.kind, one.default, one.doc);
            let _ = writeln!(page, "| `{name}` | {kind} | {default} | {doc} |");
        }
    }
    check("roles.md", &page);
}

fn opening(opening: &Opening) -> String {
    let from = match &opening.from {
        Peer::Entry => "everyone, while the entry address leads there".to_owned(),
        Peer::Internet => "everyone".to_owned(),
        Peer::Operators => "the inventory's `ssh_from` networks".to_owned(),
        Peer::Role(role) => format!("hosts with the role `{role}`, by their private addresses"),
        Peer::Fleet => "the fleet's hosts, by their private addresses".to_owned(),
    };
    format!("port {} to {from}", opening.port)
}

#[test]
fn kinds_of_resources() {
    let folder = root().join("crates/marg-resources/src/kinds");
    let mut page = head(
        "Kinds of resources",
        "A role is a list of resources: things on a host in their desired state. Each kind knows how\n\
         to ask a host for them (one question for all of a kind), how to tell desired from observed,\n\
         and which commands lead from one to the other. These names stand in plans.",
    );
    let registry = text(&folder.join("mod.rs"));
    let registry = registry.split("\nkinds! {\n").nth(1).unwrap();
    let registry = registry.split("\n}").next().unwrap();
    for line in registry.lines() {
        let module = line.trim().split(':').next().unwrap();
        let file = folder.join(format!("{module}.rs"));
        let file = match file.exists() {
            true => file,
            false => folder.join(module).join("mod.rs"),
        };
        let _ = write!(page, "\n## {module}\n\n{}\n", module_doc(&file, module));
    }
    check("resources.md", &page);
}

/// The `//!` lines of a kind, without its name in front.
fn module_doc(file: &Path, name: &str) -> String {
    let text = text(file);
    let lines = text.lines().map_while(|line| line.strip_prefix("//!"));
    let lines: Vec<&str> = lines.map(str::trim).collect();
    let doc = lines.join("\n");
    let start = format!("`{name}`: ");
    let doc = doc
        .strip_prefix(&start)
        .unwrap_or_else(|| panic!("{}: the module's doc begins with {start}", file.display()));
    capital(doc)
}

/// The text with its first letter as a sentence begins.
fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().unwrap().to_uppercase();
    first.chain(letters).collect()
}

#[test]
fn phases_as_built_in() {
    let mut page = head(
        "Phases",
        "A phase is a topology as data. These four are built into the program; a file\n\
         `phases/phase-N.toml` beside an inventory, or beside its folder, replaces one of them or\n\
         adds one of your own (5 to 9). The budget is the guide's, in US dollars per month;\n\
         `marg cost --phase N` reads the real prices.",
    );
    for phase in phases() {
        phase_section(&mut page, &phase);
    }
    check("phases.md", &page);
}

fn phase_section(page: &mut String, phase: &Phase) {
    let _ = write!(
        page,
        "\n## Phase {}\n\n**{}.** The public entry address leads to `{}1`.\n",
        phase.number,
        capital(&phase.title),
        phase.entry
    );
    let capacity = &phase.capacity;
    let _ = write!(
        page,
        "\nBudget: {}. Active users: {}, each with {} requests per minute.\n",
        span(phase.budget, "$"),
        span(capacity.users, ""),
        capacity.requests_per_user_minute
    );
    page.push_str("\n| group | hosts | size | roles | internal names | holds data |\n");
    page.push_str("|---|---|---|---|---|---|\n");
    for group in &phase.groups {
        let _ = writeln!(
            page,
            "| `{}` | {} | `{}` | {} | {} | {} |",
            group.name,
            group.count,
            group.size,
            group.roles.join(", "),
            dash(&group.names),
            if group.holds_data { "yes" } else { "no" },
        );
    }
    if capacity.limits.is_empty() {
        return;
    }
    page.push_str("\nWhat carries how much, by the guide's estimates:\n\n");
    for limit in &capacity.limits {
        let (name, count, unit) = (&limit.component, limit.per_second, &limit.unit);
        let each = limit.per_host.as_ref();
        let each = each.map_or_else(String::new, |group| format!(" per `{group}` host"));
        let _ = writeln!(page, "- {name}: {count} {unit} per second{each}");
    }
}

fn span((from, to): (u32, u32), sign: &str) -> String {
    match from == to {
        true => format!("{sign}{from}"),
        false => format!("{sign}{from} to {sign}{to}"),
    }
}

fn dash(names: &[String]) -> String {
    match names {
        [] => "–".to_owned(),
        names => names.join(", "),
    }
}

/// The program's own snapshots of its help, which its tests compare with what it prints.
#[test]
fn command_line() {
    let folder = root().join("crates/marg-cli/src/snapshots");
    let prefix = "marg__args__tests__help-";
    let mut names: Vec<String> = std::fs::read_dir(&folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter_map(|name| Some(name.strip_prefix(prefix)?.strip_suffix(".snap")?.to_owned()))
        // The daemon that `marg lab up` starts is nobody's command.
        .filter(|name| name != "lab-serve")
        .collect();
    names.sort_by_key(|name| (name != "marg", name.clone()));
    let mut page = head(
        "The command line",
        "What `marg --help` and `marg <verb> --help` print. Global options may stand before and\n\
         after the verb; they are shown once, here at the beginning.",
    );
    for name in names {
        let title = match name.as_str() {
            "marg" => "marg".to_owned(),
            verb => format!("marg {}", verb.replace('-', " ")),
        };
        let snapshot = text(&folder.join(format!("{prefix}{name}.snap")));
        let help = snapshot.splitn(3, "---\n").nth(2).unwrap();
        let help = if name == "marg" {
            help.to_owned()
        } else {
            without_global_options(help)
        };
        let _ = write!(page, "\n## {title}\n\n```text\n{}\n```\n", help.trim_end());
    }
    check("command-line.md", &page);
}

/// The help of a verb without the part that is the same for all.
fn without_global_options(help: &str) -> String {
    let Some((before, after)) = help.split_once("Global options:\n") else {
        return help.to_owned();
    };
    // Options are indented; what is not comes after them.
    let rest = after
        .lines()
        .skip_while(|line| line.is_empty() || line.starts_with(' '));
    let rest: Vec<&str> = rest.collect();
    format!("{before}{}", rest.join("\n"))
}
