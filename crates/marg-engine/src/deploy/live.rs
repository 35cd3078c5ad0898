//! Which release of each application is live on a host: a section of every probe, so that a
//! converged host still costs one exec.

use std::collections::BTreeMap;

use marg_model::App;
use marg_resources::{Answer, Misread, quote};

/// Live release by application.
pub type Live = BTreeMap<String, String>;

/// The part of a probe that reads it.
pub fn section(apps: &[App]) -> String {
    let mut script = String::from("set --\n");
    for app in apps {
        script.push_str(&format!(
            "if [ -L {link} ]; then echo app {name}; set -- \"$@\" {link}; fi\n",
            link = quote(&format!("{}/current", app.root())),
            name = quote(&app.name),
        ));
    }
    // One process reads all links.
    script.push_str("[ $# -eq 0 ] || readlink -- \"$@\"");
    marg_resources::section("live", &script)
}

/// Reads what [`section`] printed.
pub fn read(answer: &Answer) -> Result<Live, Misread> {
    let misread = |line: &str| Misread::Line {
        kind: "live".to_owned(),
        line: line.to_owned(),
    };
    let lines = answer.section("live")?;
    let (apps, targets): (Vec<&str>, Vec<&str>) = lines
        .iter()
        .map(String::as_str)
        .partition(|line| line.starts_with("app "));
    if apps.len() != targets.len() {
        return Err(misread(&lines.join(" | ")));
    }
    apps.into_iter()
        .zip(targets)
        .map(|(app, target)| {
            let app = app.strip_prefix("app ").ok_or_else(|| misread(app))?;
            let id = target.strip_prefix("releases/");
            Ok((
                app.to_owned(),
                id.ok_or_else(|| misread(target))?.to_owned(),
            ))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_of(lines: &str) -> Result<Live, Misread> {
        read(&Answer::default().with("live", lines))
    }

    #[test]
    fn names_and_links_are_paired_in_order() {
        let live = read_of("app a\napp b\nreleases/1\nreleases/2\n").expect("readable");
        let pairs = [("a", "1"), ("b", "2")];
        let expected = pairs.map(|(app, id)| (app.to_owned(), id.to_owned()));
        assert_eq!(live, Live::from(expected));
        assert_eq!(read_of("").expect("readable"), Live::new());
    }

    #[test]
    fn a_missing_or_strange_link_is_an_error() {
        for lines in ["app a\n", "releases/1\n", "app a\n/elsewhere\n"] {
            assert!(read_of(lines).is_err(), "{lines}");
        }
    }
}
