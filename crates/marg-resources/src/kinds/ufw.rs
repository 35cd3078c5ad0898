//! What the two ufw kinds share: how a host's firewall is read. `ufw status` starts Python; its
//! own files and the kernel's rules say the same in a few milliseconds.

use std::collections::BTreeSet;

use ipnet::IpNet;

/// Reads ufw's files and the kernel's rules once, for whichever kind asks first.
pub(super) const LOOK: &str = "if [ -z \"${marg_ufw+x}\" ]; then
marg_ufw=$(iptables -S 2>/dev/null | grep -hE -e '^(-P INPUT|-A ufw-user-input) ' \\
  -e '^(### tuple|IPV6=|DEFAULT_(IN|OUT)PUT_POLICY=|ENABLED=)' \\
  /etc/default/ufw /etc/ufw/ufw.conf /etc/ufw/user.rules /etc/ufw/user6.rules - 2>/dev/null)
fi
[ -z \"$marg_ufw\" ] || printf '%s\\n' \"$marg_ufw\"";

/// Saves what [`RESTORE`] needs.
pub(super) const SAVE: &str = "mkdir \"$RESCUE/ufw\"
cp -p /etc/default/ufw /etc/ufw/ufw.conf /etc/ufw/user.rules /etc/ufw/user6.rules \"$RESCUE/ufw\"";

/// Brings the firewall back to what was saved.
pub(super) const RESTORE: &str = "cp -p \"$RESCUE/ufw/ufw\" /etc/default/ufw
cp -p \"$RESCUE/ufw/ufw.conf\" \"$RESCUE/ufw/user.rules\" \"$RESCUE/ufw/user6.rules\" /etc/ufw
if grep -q '^ENABLED=yes' /etc/ufw/ufw.conf; then ufw reload; else ufw disable; fi";

/// `marg`, in the hexadecimal digits that ufw uses for comments.
const COMMENT: &str = "comment=6d617267";

/// What a rule lets in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Traffic {
    Tcp(u16),
    Udp(u16),
    /// The protocol by which routers agree who is master; it has no ports and no IPv6 in ufw.
    Vrrp,
}

impl std::fmt::Display for Traffic {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Traffic::Tcp(port) => write!(f, "{port}/tcp"),
            Traffic::Udp(port) => write!(f, "{port}/udp"),
            Traffic::Vrrp => f.write_str("vrrp"),
        }
    }
}

/// One rule of marg's, for one version of IP.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tuple {
    pub(super) traffic: Traffic,
    /// Who may connect; a prefix of length 0 is everyone of that version.
    pub(super) from: IpNet,
}

impl Tuple {
    /// What ufw's command line calls the peer. `any` would mean both versions of IP.
    pub(super) fn peer(&self) -> String {
        let network = self.from;
        if network.prefix_len() == network.max_prefix_len() {
            network.addr().to_string()
        } else {
            network.to_string()
        }
    }

    /// The rule as ufw's command line takes it, after `allow`.
    pub(super) fn words(&self) -> String {
        spelled(self.traffic, &self.peer())
    }

    /// The lines of which `iptables -S` shows one once the rule is loaded.
    fn loaded(&self) -> Vec<String> {
        let source = match self.from.prefix_len() {
            0 => String::new(),
            _ => format!(" -s {}", self.from),
        };
        let with_port = |protocol: &str, port: u16| {
            let matches = format!("-p {protocol} -m {protocol} --dport {port}");
            vec![format!("-A ufw-user-input{source} {matches} -j ACCEPT")]
        };
        match self.traffic {
            Traffic::Tcp(port) => with_port("tcp", port),
            Traffic::Udp(port) => with_port("udp", port),
            Traffic::Vrrp => ["vrrp", "112"]
                .map(|name| format!("-A ufw-user-input{source} -p {name} -j ACCEPT"))
                .to_vec(),
        }
    }
}

/// A rule as ufw's command line takes it, after `allow`. `peer` is quoted already where it must be.
pub(super) fn spelled(traffic: Traffic, peer: &str) -> String {
    match traffic {
        Traffic::Tcp(port) => format!("proto tcp from {peer} to any port {port}"),
        Traffic::Udp(port) => format!("proto udp from {peer} to any port {port}"),
        Traffic::Vrrp => format!("proto vrrp from {peer}"),
    }
}

/// A network or a single address, without the bits that do not belong to it.
pub(super) fn network(text: &str) -> Option<IpNet> {
    let network: Option<IpNet> = text.parse().ok();
    let address = || text.parse::<std::net::IpAddr>().ok().map(IpNet::from);
    Some(network.or_else(address)?.trunc())
}

/// Everyone, of both versions of IP.
pub(super) fn everyone() -> [IpNet; 2] {
    let (v4, v6) = (
        std::net::Ipv4Addr::UNSPECIFIED,
        std::net::Ipv6Addr::UNSPECIFIED,
    );
    [
        IpNet::new_assert(v4.into(), 0),
        IpNet::new_assert(v6.into(), 0),
    ]
}

/// A host's firewall.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Firewall {
    /// Rules with marg's comment.
    pub(super) rules: BTreeSet<Tuple>,
    /// Whether ufw makes rules for IPv6, too.
    pub(super) ipv6: bool,
    /// Whether it is switched on now and at boot.
    pub(super) enabled: bool,
    /// What happens to connections that no rule names.
    pub(super) incoming: String,
    /// What happens to connections that the host itself opens.
    pub(super) outgoing: String,
    /// The kernel's policy and rules, as `iptables -S` shows them.
    loaded: BTreeSet<String>,
}

impl Firewall {
    /// Reads an answer; the line that makes no sense in case of an error.
    pub(super) fn read(lines: &[String]) -> Result<Firewall, &String> {
        let mut firewall = Firewall::default();
        for line in lines {
            firewall.take(line).ok_or(line)?;
        }
        Ok(firewall)
    }

    fn take(&mut self, line: &str) -> Option<()> {
        if line.starts_with("-P INPUT ") || line.starts_with("-A ufw-user-input ") {
            self.loaded.insert(line.to_owned());
            return Some(());
        }
        if let Some(tuple) = line.strip_prefix("### tuple ### ") {
            self.rules.extend(tuple_of(tuple)?);
            return Some(());
        }
        let (key, value) = line.split_once('=')?;
        let value = value.trim().trim_matches('"');
        match key {
            "IPV6" => self.ipv6 = value == "yes",
            "ENABLED" => self.enabled = value == "yes",
            "DEFAULT_INPUT_POLICY" => self.incoming = value.to_owned(),
            "DEFAULT_OUTPUT_POLICY" => self.outgoing = value.to_owned(),
            _ => return None,
        }
        Some(())
    }

    /// Whether the kernel refuses what no rule allows.
    pub(super) fn is_loaded(&self) -> bool {
        self.loaded.contains("-P INPUT DROP")
    }

    /// Whether the kernel knows a rule; of IPv6 only ufw's files are asked.
    pub(super) fn has_loaded(&self, tuple: &Tuple) -> bool {
        tuple.from.addr().is_ipv6() || tuple.loaded().iter().any(|line| self.loaded.contains(line))
    }
}

/// A rule that ufw remembers: `None` if it makes no sense, `Some(None)` if it is not marg's.
fn tuple_of(text: &str) -> Option<Option<Tuple>> {
    let words: Vec<&str> = text.split(' ').collect();
    if words.last() != Some(&COMMENT) {
        return Some(None);
    }
    match words.as_slice() {
        [
            "allow",
            protocol,
            port,
            "0.0.0.0/0" | "::/0",
            "any",
            from,
            "in",
            _,
        ] => Some(Some(Tuple {
            traffic: match (*protocol, *port) {
                ("tcp", port) => Traffic::Tcp(port.parse().ok()?),
                ("udp", port) => Traffic::Udp(port.parse().ok()?),
                ("vrrp", "any") => Traffic::Vrrp,
                _ => return None,
            },
            from: network(from)?,
        })),
        _ => None,
    }
}
