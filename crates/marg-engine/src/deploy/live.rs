//! Which release of each application is live on a host: a section of every probe, so that a
//! converged host still costs one exec.

use std::collections::BTreeMap;

use marg_model::App;
use marg_resources::{Answer, Misread, quote};

/// Live release by application.
pub type Live = BTreeMap<String, String>;

/// The part of a probe that reads it.
pub fn section(apps: &[App]) -> String {
    let mut script = String::from("echo '@kind live'\n");
    for app in apps {
        script.push_str(&format!(
            "[ -L {link} ] && printf '%s %s\\n' {name} \"$(readlink {link})\"\n",
            link = quote(&format!("{}/current", app.root())),
            name = quote(&app.name),
        ));
    }
    script.push_str("echo '@end live 0'\n");
    script
}

/// Reads what [`section`] printed.
pub fn read(answer: &Answer) -> Result<Live, Misread> {
    let misread = |line: &str| Misread::Line {
        kind: "live".to_owned(),
        line: line.to_owned(),
    };
    answer
        .section("live")?
        .iter()
        .map(|line| {
            let (app, target) = line.split_once(' ').ok_or_else(|| misread(line))?;
            let id = target
                .strip_prefix("releases/")
                .ok_or_else(|| misread(line))?;
            Ok((app.to_owned(), id.to_owned()))
        })
        .collect()
}
