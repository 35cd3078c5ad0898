//! What the ruleset says, case by case.

#![allow(clippy::unwrap_used)]

use super::*;

fn place(id: u64) -> Place {
    Place {
        id,
        public: Ipv4Addr::new(198, 18, 0, id as u8),
        private: Ipv4Addr::new(10, 114, 0, id as u8),
        vpc: "10.114.0.0/20".parse().unwrap(),
    }
}

fn pass(protocol: Protocol, ports: Option<(u16, u16)>, peers: &[&str]) -> Pass {
    Pass {
        protocol,
        ports,
        peers: peers.iter().map(|peer| peer.parse().unwrap()).collect(),
    }
}

/// The lines of one chain of the ruleset.
fn lines(rules: &Rules, chain: &str) -> Vec<String> {
    ruleset(rules)
        .lines()
        .skip_while(|line| line.trim() != format!("chain {chain} {{"))
        .skip(1)
        .take_while(|line| line.trim() != "}")
        .map(|line| line.trim().to_owned())
        .collect()
}

#[test]
fn inbound_rules_become_lines_and_end_in_drop() {
    let cases = [
        (
            pass(Protocol::Tcp, Some((22, 22)), &["0.0.0.0/0"]),
            Some("tcp dport 22-22 accept"),
        ),
        (
            pass(
                Protocol::Tcp,
                Some((8000, 9000)),
                &["10.114.0.5/32", "10.114.0.4/32"],
            ),
            Some("ip saddr { 10.114.0.4/32, 10.114.0.5/32 } tcp dport 8000-9000 accept"),
        ),
        (
            pass(Protocol::Udp, None, &["10.0.0.0/8", "10.114.0.4/32"]),
            Some("ip saddr { 10.0.0.0/8 } meta l4proto udp accept"),
        ),
        (
            pass(Protocol::Icmp, None, &["0.0.0.0/0"]),
            Some("meta l4proto icmp accept"),
        ),
        (pass(Protocol::Tcp, Some((22, 22)), &[]), None),
    ];
    for (inbound, expected) in cases {
        let wall = Wall {
            id: 7,
            inbound: vec![inbound],
            outbound: Vec::new(),
        };
        let rules = Rules {
            places: vec![place(7)],
            walls: vec![wall],
            ..Rules::default()
        };
        let mut wanted: Vec<String> = expected.map(str::to_owned).into_iter().collect();
        wanted.push("drop".to_owned());
        assert_eq!(lines(&rules, "in_7"), wanted);
        assert_eq!(lines(&rules, "out_7"), ["drop"]);
    }
}

#[test]
fn a_machine_without_firewall_is_open_and_one_with_is_sent_through_its_chains() {
    let open = Rules {
        places: vec![place(7)],
        ..Rules::default()
    };
    assert_eq!(
        lines(&open, "guests"),
        [
            format!("oifname \"uplink\" tcp dport {CACHE_PORT} accept"),
            "oifname \"uplink\" drop".to_owned(),
            "accept".to_owned(),
        ]
    );
    let wall = Wall {
        id: 7,
        inbound: Vec::new(),
        outbound: Vec::new(),
    };
    let closed = Rules {
        walls: vec![wall],
        ..open
    };
    let guests = lines(&closed, "guests");
    assert_eq!(
        guests[0],
        r#"iifname vmap { "pub7" : jump out_7, "prv7" : jump out_7 }"#
    );
    assert_eq!(
        guests[3],
        r#"oifname vmap { "pub7" : goto in_7, "prv7" : goto in_7 }"#
    );
}

#[test]
fn private_traffic_stays_within_one_vpc() {
    let mut other = place(8);
    other.vpc = "10.120.0.0/24".parse().unwrap();
    let rules = Rules {
        places: vec![place(7), other],
        ..Rules::default()
    };
    let forward = lines(&rules, "forward");
    let allowed: Vec<&String> = forward
        .iter()
        .filter(|line| line.contains("prv*"))
        .collect();
    assert_eq!(
        allowed,
        [
            r#"iifname "prv*" oifname "prv*" ip saddr 10.114.0.0/20 ip daddr 10.114.0.0/20 goto guests"#,
            r#"iifname "prv*" oifname "prv*" ip saddr 10.120.0.0/24 ip daddr 10.120.0.0/24 goto guests"#,
            r#"iifname "prv*" drop"#,
            r#"oifname "prv*" drop"#,
        ]
    );
}

#[test]
fn reserved_addresses_lead_to_their_droplet() {
    let target = Ipv4Addr::new(198, 18, 0, 7);
    let rules = Rules {
        reserved: vec![(Ipv4Addr::new(198, 18, 240, 1), target)],
        ..Rules::default()
    };
    assert_eq!(
        lines(&rules, "reserved")[1],
        "dnat ip to ip daddr map { 198.18.240.1 : 198.18.0.7 }"
    );
    assert!(lines(&rules, "hairpin")[1].contains("198.18.0.7 . 198.18.0.7"));
    assert_eq!(lines(&Rules::default(), "reserved").len(), 1);
}

#[test]
fn who_is_off_or_cut_off_is_silent_before_anything_else() {
    let rules = Rules {
        places: vec![place(7), place(8)],
        silent: vec![7],
        lossy: vec![8],
        api_port: Some(4050),
        ..Rules::default()
    };
    let forward = lines(&rules, "forward");
    assert_eq!(
        forward[2..6],
        [
            "iifname { \"pub7\", \"prv7\" } drop",
            "oifname { \"pub7\", \"prv7\" } drop",
            "iifname { \"pub8\", \"prv8\" } numgen random mod 100 < 3 drop",
            "oifname { \"pub8\", \"prv8\" } numgen random mod 100 < 3 drop",
        ]
    );
    let open = "oifname \"uplink\" tcp dport { 3143, 4050 } accept".to_owned();
    assert!(lines(&rules, "guests").contains(&open));
}
