//! What a destroy would take away, and what it took.

use marg::{DestroyPreview, DestroyReport};

use crate::output::{BOLD, GREEN, RED, clean, count, paint};

/// Everything that would be destroyed; hosts whose data exists nowhere else are named again.
pub fn destroy_preview(environment: &str, preview: &DestroyPreview) -> String {
    let title = paint(
        BOLD,
        &format!("This destroys the environment {environment}:"),
    );
    let minus = paint(RED, "-");
    let droplets = preview
        .droplets
        .iter()
        .map(|name| format!("droplet {}", clean(name)));
    let others = preview.others.iter().map(|name| clean(name));
    let lines: String = droplets
        .chain(others)
        .map(|name| format!("  {minus} {name}\n"))
        .collect();
    format!("{title}\n{lines}{}", data(&preview.data))
}

fn data(names: &[String]) -> String {
    if names.is_empty() {
        return String::new();
    }
    let names: Vec<String> = names.iter().map(|name| paint(BOLD, &clean(name))).collect();
    let warning = paint(RED, "Data that exists nowhere else is on:");
    format!("{warning} {}\n", names.join(", "))
}

/// What is gone.
pub fn destroyed(environment: &str, report: &DestroyReport) -> String {
    let things = count(report.destroyed.len(), "thing");
    let head = format!(
        "{} {environment} is destroyed: {things} gone.",
        paint(GREEN, "✓")
    );
    format!("{head}\nSecrets and keys beside the inventory are still there.\n")
}

/// There was nothing.
pub fn nothing_to_destroy(environment: &str) -> String {
    format!("Nothing to destroy: the cloud has nothing of {environment}.\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::plain;

    #[test]
    fn what_goes_and_what_is_gone() {
        let names = |names: &[&str]| {
            names
                .iter()
                .map(|&name| name.to_owned())
                .collect::<Vec<_>>()
        };
        let preview = DestroyPreview {
            droplets: names(&["marg-http1", "marg-mysql1"]),
            data: names(&["marg-mysql1"]),
            others: names(&[
                "firewall marg-marg-http",
                "vpc marg-marg",
                "reserved ip 198.18.64.1",
            ]),
        };
        let without = DestroyPreview {
            data: Vec::new(),
            ..preview.clone()
        };
        let report = DestroyReport {
            destroyed: names(&["droplet marg-http1", "vpc marg-marg"]),
        };
        let shown = [
            destroy_preview("marg", &preview),
            destroy_preview("marg", &without),
            destroyed("marg", &report),
            nothing_to_destroy("marg"),
        ];
        insta::assert_snapshot!("destroy", plain(&shown.join("\n")));
    }
}
