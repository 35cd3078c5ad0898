//! What a run did.

use marg::{DeployReport, HostReport, Report};

use super::trimmed;
use crate::output::{BOLD, CYAN, DIM, GREEN, RED, clean, count, paint, seconds};

/// Every host, every deploy, and the addresses to open.
pub fn report(report: &Report) -> String {
    let mut text = String::new();
    if report.cloud_changed > 0 {
        let changes = count(report.cloud_changed, "change");
        text.push_str(&format!("{} {:10} {changes}\n", paint(GREEN, "✓"), "cloud"));
    }
    text.push_str(&report.hosts.iter().map(host).collect::<String>());
    text.push_str(&report.deployed.iter().map(deploy).collect::<String>());
    text.push_str(&format!("\n{}\n{}", verdict(report), pages(report)));
    trimmed(&text)
}

fn host(host: &HostReport) -> String {
    let effort = format!(
        "{}, {}, {}",
        seconds(host.millis),
        count(host.connections, "connection"),
        count(host.execs, "exec")
    );
    let effort = paint(DIM, &effort);
    let address = host
        .public_ip
        .map(|address| address.to_string())
        .unwrap_or_default();
    let name = &host.name;
    match &host.error {
        None => {
            let changed = match host.changed {
                0 => "unchanged".to_owned(),
                changed => count(changed, "change"),
            };
            format!(
                "{} {name:10} {changed:12} {address:16} {effort}\n",
                paint(GREEN, "✓")
            )
        }
        Some(error) => {
            let error: Vec<String> = error.lines().map(clean).collect();
            let failed = format!("{} {name:10} failed       {address:16}", paint(RED, "✗"));
            format!("{failed} {effort}\n  {}\n", error.join("\n  "))
        }
    }
}

fn verdict(report: &Report) -> String {
    let name = &report.environment;
    if !report.is_success() {
        return paint(RED, &format!("{name} is not as it should be yet."));
    }
    match report.changed() + report.deployed.len() {
        0 => paint(
            GREEN,
            &format!("{name} is as it should be: nothing was changed."),
        ),
        _ => paint(
            GREEN,
            &format!("{name} is as it should be: changed and verified."),
        ),
    }
}

/// How to see the applications, also before their names lead anywhere.
fn pages(report: &Report) -> String {
    let Some(entry) = report.entry.filter(|_| report.is_success()) else {
        return String::new();
    };
    let mut text = format!("\n{} {entry}\n", paint(BOLD, "entry address:"));
    let curl = |name: &String| {
        let line = format!("curl -H 'Host: {}' http://{entry}/", clean(name));
        format!("  {}\n", paint(CYAN, &line))
    };
    text.push_str(&report.hostnames.iter().map(curl).collect::<String>());
    text
}

/// The failure's message when hosts failed.
pub fn hosts_failed(failed: usize) -> String {
    let verb = if failed == 1 { "is" } else { "are" };
    format!("{} {verb} not as it should be", count(failed, "host"))
}

fn deploy(deploy: &DeployReport) -> String {
    let before = match &deploy.previous {
        Some(previous) => format!("before: {}", clean(previous)),
        None => "its first release".to_owned(),
    };
    let details = format!(
        "{before}; {}, on {}",
        seconds(deploy.millis),
        deploy.hosts.join(", ")
    );
    format!(
        "{} {:10} {} is live {}\n",
        paint(GREEN, "✓"),
        clean(&deploy.app),
        paint(BOLD, &clean(&deploy.release)),
        paint(DIM, &format!("({details})"))
    )
}

/// Applications and what is live now.
pub fn deployed(deploys: &[DeployReport]) -> String {
    deploys.iter().map(deploy).collect()
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::testing::plain;

    #[test]
    fn a_first_run_a_second_one_and_one_that_fails() {
        let [first, second, failed] = samples::reports();
        let shown = [report(&first), report(&second), report(&failed)];
        let counted = format!("{}\n{}\n", hosts_failed(1), hosts_failed(2));
        insta::assert_snapshot!(
            "report",
            plain(&format!("{}\n---\n\n{counted}", shown.join("\n---\n\n")))
        );
    }
}
