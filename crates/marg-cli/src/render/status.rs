//! Every host in one table.

use comfy_table::{CellAlignment, Table, TableStyle};
use marg::{FleetStatus, HostStatus, Led};

use super::trimmed;
use crate::output::{BOLD, GREEN, RED, clean, count, paint};

const COLUMNS: [&str; 10] = [
    "HOST", "PUBLIC", "PRIVATE", "ROLES", "SERVICES", "RELEASES", "LOAD", "MEMORY", "DISK", "UP",
];

/// Longest line of roles in a cell.
const ROLES_WIDTH: usize = 22;

/// A table without lines, its columns apart by two spaces.
pub fn bare_table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(TableStyle::new());
    table.set_header(header.to_vec());
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    table
}

/// The entry address, every host, and why hosts do not answer.
pub fn status(status: &FleetStatus) -> String {
    let mut table = bare_table(&COLUMNS);
    for host in &status.hosts {
        table.add_row(row(host));
    }
    for column in [6, 7, 8, 9] {
        if let Some(column) = table.column_mut(column) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    let mut text = format!(
        "{} · phase {} · {}\n\n{table}\n",
        paint(BOLD, &status.environment),
        status.phase,
        entry(status)
    );
    if !status.leaders.is_empty() {
        let lines = status.leaders.iter().map(|led| leader(status, led));
        text.push_str(&format!("\n{}", lines.collect::<String>()));
    }
    text.push_str(&taken_out(status));
    let lost = status.hosts.iter().filter(|host| !host.reachable);
    let reasons: String = lost.map(reason).collect();
    match reasons.is_empty() {
        true => text.push_str(&format!("\n{}\n", all_answer(status))),
        false => text.push_str(&format!("\n{reasons}")),
    }
    trimmed(&text)
}

fn entry(status: &FleetStatus) -> String {
    match (status.entry, &status.entry_at) {
        (Some(address), Some(host)) => format!("entry {address} leads to {host}"),
        (Some(address), None) => paint(RED, &format!("entry {address} leads nowhere")),
        (None, _) => "no entry address yet".to_owned(),
    }
}

/// `mysql: mysql1 leads, mysql2 0 s behind`.
fn leader(status: &FleetStatus, led: &Led) -> String {
    let who = match (&led.leader, &led.error) {
        (Some(leader), _) => format!("{} leads", paint(BOLD, leader)),
        (None, Some(error)) => paint(RED, &clean(error)),
        (None, None) => paint(RED, "nobody leads"),
    };
    let behind = status.hosts.iter().filter_map(|host| {
        let seconds = host.lag_seconds.get(&led.service)?;
        let follows = led.leader.as_deref() != Some(&host.name);
        follows.then(|| format!(", {} {seconds} s behind", host.name))
    });
    format!("{}: {who}{}\n", led.service, behind.collect::<String>())
}

/// `lb1 sends http2 no requests (drain)`, for each balancer and each such host.
fn taken_out(status: &FleetStatus) -> String {
    let lines = status.hosts.iter().flat_map(|balancer| {
        let hosts = balancer.taken_out.iter();
        hosts.map(|(host, state)| {
            let what = format!("sends {} no requests ({})", clean(host), clean(state));
            format!("{} {}\n", balancer.name, paint(RED, &what))
        })
    });
    let lines: String = lines.collect();
    match lines.is_empty() {
        true => lines,
        false => {
            format!("\n{lines}`marg provision` lets them in again, unless a deploy is under way.\n")
        }
    }
}

fn all_answer(status: &FleetStatus) -> String {
    let stopped: usize = status.hosts.iter().map(|host| stopped(host).count()).sum();
    let hosts = count(status.hosts.len(), "host");
    match stopped {
        0 => paint(GREEN, &format!("{hosts} reachable, every service runs.")),
        _ => paint(
            RED,
            &format!(
                "{hosts} reachable, {} not running.",
                count(stopped, "service")
            ),
        ),
    }
}

fn reason(host: &HostStatus) -> String {
    let why = host.error.as_deref().unwrap_or("no reason given");
    // Most reasons begin with the host's name already.
    let why = why.strip_prefix(&format!("{}: ", host.name)).unwrap_or(why);
    let why: Vec<String> = why.lines().map(clean).collect();
    format!("{} {}: {}\n", paint(RED, "✗"), host.name, why.join("\n  "))
}

fn row(host: &HostStatus) -> Vec<String> {
    let or_dash = |text: Option<String>| text.unwrap_or_else(|| "–".to_owned());
    let name = match host.leaving {
        true => format!("{}\nleaving", host.name),
        false => host.name.clone(),
    };
    vec![
        name,
        or_dash(host.public_ip.map(|address| address.to_string())),
        or_dash(host.private_ip.map(|address| address.to_string())),
        folded(&host.roles),
        services(host),
        or_dash(releases(host)),
        or_dash(host.load.map(|load| format!("{load:.2}"))),
        or_dash(memory(host)),
        or_dash(host.disk_used_percent.map(|percent| format!("{percent} %"))),
        or_dash(host.uptime_seconds.map(uptime)),
    ]
}

/// Words on lines that are not too long.
fn folded(words: &[String]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= ROLES_WIDTH => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.clone()),
        }
    }
    lines.join("\n")
}

fn stopped(host: &HostStatus) -> impl Iterator<Item = &str> {
    host.services
        .iter()
        .filter(|(_, runs)| !**runs)
        .map(|(name, _)| name.as_str())
}

fn services(host: &HostStatus) -> String {
    let stopped: Vec<String> = stopped(host)
        .map(|name| format!("{} DOWN", clean(name)))
        .collect();
    match (host.reachable, stopped.is_empty()) {
        (false, _) if host.droplet_id.is_none() => "not created".to_owned(),
        (false, _) => "unreachable".to_owned(),
        (true, true) => format!("{} running", host.services.len()),
        (true, false) => {
            let running = host.services.len() - stopped.len();
            format!("{}\n{running} running", stopped.join("\n"))
        }
    }
}

fn releases(host: &HostStatus) -> Option<String> {
    let lines: Vec<String> = host
        .releases
        .iter()
        .map(|(app, release)| format!("{} {}", clean(app), clean(release)))
        .collect();
    (!lines.is_empty()).then(|| lines.join("\n"))
}

fn memory(host: &HostStatus) -> Option<String> {
    let (used, total) = (host.memory_used_mib?, host.memory_total_mib?);
    let percent = (used * 100).checked_div(total)?;
    Some(format!("{percent} % of {total} M"))
}

fn uptime(seconds: u64) -> String {
    match seconds {
        0..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

/// The failure's message when hosts do not answer.
pub fn hosts_lost(lost: usize) -> String {
    let does = if lost == 1 { "does" } else { "do" };
    format!(
        "{} {does} not answer; the reasons are above",
        count(lost, "host")
    )
}

#[cfg(test)]
mod tests {
    use super::super::samples;
    use super::*;
    use crate::testing::plain;

    #[test]
    fn hosts_that_are_taken_out() {
        let mut fleet = samples::status();
        fleet.hosts[1].name = "lb1".to_owned();
        fleet.hosts[1].taken_out = [("http1".to_owned(), "drain".to_owned())].into();
        insta::assert_snapshot!("taken-out", plain(&status(&fleet)));
    }

    #[test]
    fn a_fleet_that_is_well() {
        insta::assert_snapshot!("status", plain(&status(&samples::status())));
    }

    #[test]
    fn hosts_that_are_lost_and_services_that_are_down() {
        let mut fleet = samples::status();
        fleet.entry = None;
        fleet.hosts[0].services.insert("nginx".to_owned(), false);
        insta::assert_snapshot!("status-service-down", plain(&status(&fleet)));
        fleet.hosts[1] = samples::lost_host();
        let shown = format!("{}\n{}\n{}", status(&fleet), hosts_lost(1), hosts_lost(2));
        insta::assert_snapshot!("status-lost", plain(&shown));
    }

    #[test]
    fn who_leads_and_who_leaves() {
        let mut fleet = samples::replicated_status();
        let known = status(&fleet);
        fleet.entry_at = None;
        fleet.leaders[0] = Led {
            service: "mysql".to_owned(),
            leader: None,
            error: Some("mysql: nobody takes writes; run `marg promote mysql2`".to_owned()),
        };
        let shown = format!("{known}\n{}", status(&fleet));
        insta::assert_snapshot!("status-leaders", plain(&shown));
    }

    /// Scripts read it: its shape is a promise.
    #[test]
    fn the_document() {
        let document =
            serde_json::to_string_pretty(&samples::replicated_status()).unwrap_or_default();
        insta::assert_snapshot!("status-document", document);
    }
}
