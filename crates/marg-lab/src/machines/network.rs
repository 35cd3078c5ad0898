//! The lab's network: a router namespace that joins all machines, and the host, by links of
//! their own. There is no bridge, so no packet can pass the router's rules by.
//!
//! ```text
//! host (198.18.0.1) ─ marg0 ══ uplink ─ marg-router ─ pub<id> ══ eth0 ┐ marg-m-<id>
//!                                                   └ prv<id> ══ eth1 ┘
//! ```

use std::fmt::Write;
use std::net::Ipv4Addr;
use std::path::Path;

use ipnet::Ipv4Net;

use super::Place;
use super::nft::{self, Rules};
use crate::command;
use crate::error::LabResult;
use crate::paths::{self, ROUTE_PROTOCOL, ROUTER, UPLINK};

/// The host's address in the lab: the operator, the internet and the apt cache.
pub(crate) const OPERATOR: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);
/// The router's address, the machines' default gateway.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// Length of the prefix that machines have on the public side.
pub(crate) const PUBLIC_PREFIX: u8 = 20;
/// All public addresses of the lab: kept for benchmarks by RFC 2544, so nobody else's.
pub(crate) const PUBLIC_RANGE: &str = "198.18.0.0/15";
/// The apt cache's port. Not the program's usual one, which the host's own may hold.
pub(crate) const CACHE_PORT: u16 = 3143;
/// A slow machine's lines carry this much each way, with a queue of up to two seconds, and lose
/// this many packets of a hundred.
const SLOW_RATE: &str = "512kbit";
pub(crate) const LOSS_PERCENT: u8 = 3;
/// Guards lose against every other route of the same range.
const GUARD_METRIC: &str = "4294967295";

/// The router's link to a machine's public interface.
pub(crate) fn public_link(id: u64) -> String {
    format!("pub{id}")
}

/// The router's link to a machine's private interface.
pub(crate) fn private_link(id: u64) -> String {
    format!("prv{id}")
}

/// Makes the router and the host's link to it. May be repeated.
pub(crate) fn ensure_router() -> LabResult<()> {
    if !paths::namespace_path(ROUTER).exists() {
        command::run("ip", &["netns", "add", ROUTER])?;
    }
    set_router_switches()?;
    if !Path::new("/sys/class/net").join(UPLINK).exists() {
        let peer = ["type", "veth", "peer", "name", "uplink", "netns", ROUTER];
        command::run("ip", &[&["link", "add", UPLINK][..], &peer].concat())?;
    }
    let operator = format!("{OPERATOR}/32");
    let gateway = format!("{GATEWAY}/32");
    batch(
        None,
        &[
            format!("address replace {operator} dev {UPLINK}"),
            format!("link set {UPLINK} up"),
        ],
    )?;
    batch(
        Some(ROUTER),
        &[
            "link set lo up".to_owned(),
            format!("address replace {gateway} dev uplink"),
            "link set uplink up".to_owned(),
            format!("route replace {operator} dev uplink"),
            // Packets to machines that do not exist come back at once.
            "route replace unreachable default".to_owned(),
        ],
    )?;
    batch(
        None,
        &[
            format!("route replace {gateway} dev {UPLINK} proto {ROUTE_PROTOCOL}"),
            format!(
                "route replace {PUBLIC_RANGE} via {GATEWAY} dev {UPLINK} proto {ROUTE_PROTOCOL}"
            ),
        ],
    )?;
    guard(PUBLIC_RANGE)
}

/// Keeps packets to a range from leaving by the host's default route.
fn guard(range: &str) -> LabResult<()> {
    batch(
        None,
        &[format!(
            "route replace unreachable {range} metric {GUARD_METRIC} proto {ROUTE_PROTOCOL}"
        )],
    )
}

fn set_router_switches() -> LabResult<()> {
    command::run(
        "ip",
        &[
            "netns",
            "exec",
            ROUTER,
            "sysctl",
            "-q",
            "-w",
            "net.ipv4.ip_forward=1",
            "net.ipv4.conf.all.rp_filter=0",
            "net.ipv4.conf.default.rp_filter=0",
            "net.ipv4.conf.all.send_redirects=0",
            "net.ipv4.conf.default.send_redirects=0",
            "net.ipv6.conf.all.disable_ipv6=1",
            "net.ipv6.conf.default.disable_ipv6=1",
        ],
    )
    .map(drop)
}

/// Makes a machine's namespace with both interfaces, addresses and routes. May be repeated:
/// what a crash left half made is made anew.
pub(crate) fn connect(place: &Place) -> LabResult<()> {
    let namespace = paths::machine_namespace(place.id);
    if is_connected(place.id)? {
        return Ok(());
    }
    disconnect(place.id)?;
    command::run("ip", &["netns", "add", &namespace])?;
    wire(place, &namespace)
}

/// Makes the links of a running machine anew when they were lost, in the namespace that it has.
pub(crate) fn reconnect(place: &Place) -> LabResult<()> {
    let namespace = paths::machine_namespace(place.id);
    if is_connected(place.id)? || !paths::namespace_path(&namespace).exists() {
        return Ok(());
    }
    remove_links(place.id)?;
    wire(place, &namespace)
}

/// Both links of a machine, with addresses and routes on either side.
fn wire(place: &Place, namespace: &str) -> LabResult<()> {
    let (public, private) = (public_link(place.id), private_link(place.id));
    batch(
        Some(ROUTER),
        &[
            format!("link add {public} type veth peer name eth0 netns {namespace}"),
            format!("link add {private} type veth peer name eth1 netns {namespace}"),
        ],
    )?;
    answer_for_everybody(&[&public, &private])?;
    batch(
        Some(namespace),
        &[
            "link set lo up".to_owned(),
            format!("address replace {}/{PUBLIC_PREFIX} dev eth0", place.public),
            format!(
                "address replace {}/{} dev eth1",
                place.private,
                place.vpc.prefix_len()
            ),
            "link set eth0 up".to_owned(),
            "link set eth1 up".to_owned(),
            format!("route replace default via {GATEWAY} dev eth0"),
        ],
    )?;
    // The routes come last: they are how a complete connection is recognised.
    batch(
        Some(ROUTER),
        &[
            format!("address replace {GATEWAY}/32 dev {public}"),
            format!("link set {public} up"),
            format!("link set {private} up"),
            format!("route replace {}/32 dev {public}", place.public),
            format!("route replace {}/32 dev {private}", place.private),
        ],
    )?;
    guard(&place.vpc.trunc().to_string())
}

/// Narrows both links of a machine in both directions, or widens them again.
pub(crate) fn slow(id: u64, on: bool) -> LabResult<()> {
    let namespace = paths::machine_namespace(id);
    if !is_connected(id)? {
        return Ok(());
    }
    for (namespace, link) in [
        (ROUTER, public_link(id)),
        (ROUTER, private_link(id)),
        (namespace.as_str(), "eth0".to_owned()),
        (namespace.as_str(), "eth1".to_owned()),
    ] {
        let mut arguments = vec!["-n", namespace, "qdisc", "replace", "dev", &link, "root"];
        arguments.extend(match on {
            true => &["tbf", "rate", SLOW_RATE, "burst", "2kb", "latency", "2s"][..],
            false => &["noqueue"][..],
        });
        command::run("tc", &arguments)?;
    }
    Ok(())
}

fn is_connected(id: u64) -> LabResult<bool> {
    if !paths::namespace_path(&paths::machine_namespace(id)).exists() {
        return Ok(false);
    }
    let link = private_link(id);
    let routes = command::run("ip", &["-n", ROUTER, "route", "show"])?;
    Ok(routes
        .lines()
        .any(|line| line.split(' ').any(|word| word == link)))
}

/// The router answers for every address behind it, without the delay that the kernel adds.
fn answer_for_everybody(links: &[&str]) -> LabResult<()> {
    let mut switches = Vec::new();
    for link in links {
        switches.push(format!("net.ipv4.conf.{link}.proxy_arp=1"));
        switches.push(format!("net.ipv4.neigh.{link}.proxy_delay=0"));
    }
    let mut arguments = vec!["netns", "exec", ROUTER, "sysctl", "-q", "-w"];
    arguments.extend(switches.iter().map(String::as_str));
    command::run("ip", &arguments).map(drop)
}

/// Removes a machine's namespace and links. What is not there is fine.
pub(crate) fn disconnect(id: u64) -> LabResult<()> {
    // The links go first and by name: another machine's mounts may keep the namespace itself
    // alive for a while.
    remove_links(id)?;
    let namespace = paths::machine_namespace(id);
    if paths::namespace_path(&namespace).exists() {
        command::run("ip", &["netns", "del", &namespace])?;
    }
    Ok(())
}

fn remove_links(id: u64) -> LabResult<()> {
    if !paths::namespace_path(ROUTER).exists() {
        return Ok(());
    }
    for link in [public_link(id), private_link(id)] {
        if command::succeeds("ip", &["-n", ROUTER, "link", "show", "dev", &link])? {
            command::run("ip", &["-n", ROUTER, "link", "del", &link])?;
        }
    }
    Ok(())
}

/// Loads the router's rules in one transaction.
pub(crate) fn apply_rules(rules: &Rules) -> LabResult<()> {
    let text = nft::ruleset(rules);
    command::run_with_input("ip", &["netns", "exec", ROUTER, "nft", "-f", "-"], &text).map(drop)
}

/// Runs several `ip` commands by one process, in a namespace or on the host.
fn batch(namespace: Option<&str>, lines: &[String]) -> LabResult<()> {
    let mut input = String::new();
    for line in lines {
        let _ = writeln!(input, "{line}");
    }
    let mut arguments = Vec::new();
    if let Some(namespace) = namespace {
        arguments.extend(["-n", namespace]);
    }
    arguments.extend(["-batch", "-"]);
    command::run_with_input("ip", &arguments, &input).map(drop)
}

/// The netmask of a range, in dots.
pub(crate) fn netmask(range: Ipv4Net) -> Ipv4Addr {
    range.netmask()
}
