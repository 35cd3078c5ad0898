//! Phase 3: a balancer in front of two web servers.

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::time::Duration;

use marg_tests::fleet::{FLOW, Fleet, LINKS, block_on};
use marg_tests::scan;
use marg_tests::wait::until_true;
use marg_tests::web::{client, runtime};
use reqwest::Method;
use reqwest::header::HOST;

use crate::deploy::{assert_lossless, end, load_on};

cases! {
    "balancer: of the whole fleet only its ports 80 and 443 are public, and 22" => public_ports,
    "balancer: web servers answer it and nobody else" => web_ports,
    "balancer: the web servers see the visitor, and not what he says of himself" => visitor,
    "balancer: a name of no application is refused" => unknown_name,
    "balancer: metrics and statistics are for the fleet only" => metrics,
    "balancer: a reload under load loses no request" => reload,
    "balancer: a web server that was taken out stays out over reload, restart and crash" => stays_out,
    "balancer: a web server that is killed under load costs no visitor anything" => killed,
    "balancer: what may not be repeated is not" => not_repeated,
    "balancer: with Redis down no server is ready and visitors still get answers" => shared_trouble,
}

const BALANCER: &str = "lb1";
const WEB: [&str; 2] = ["http1", "http2"];

/// Who gets requests for an application, as the balancer sees it: server → status.
fn servers(fleet: &Fleet, backend: &str) -> BTreeMap<String, String> {
    let show = "echo 'show stat -1 4 -1' | socat - UNIX-CONNECT:/run/haproxy/admin.sock | \
                cut -d, -f1,2,18";
    let output = fleet.on(BALANCER, show);
    let lines = output.lines().filter_map(|line| {
        let mut fields = line.split(',');
        let own = fields.next() == Some(backend);
        let (server, status) = (fields.next()?, fields.next()?);
        own.then(|| (server.to_owned(), status.to_owned()))
    });
    lines.collect()
}

fn all_up(fleet: &Fleet) -> bool {
    ["flow-marg", "links-marg"].iter().all(|backend| {
        let servers = servers(fleet, backend);
        servers.len() == WEB.len() && servers.values().all(|status| status == "UP")
    })
}

/// Each case begins, and leaves things, with both servers in.
#[track_caller]
fn wait_until_all_up(fleet: &Fleet) {
    until_true("both servers are up", Duration::from_secs(60), || {
        all_up(fleet)
    });
}

fn public_ports() {
    let fleet = Fleet::balanced();
    for machine in fleet.machines.values() {
        let found = runtime().block_on(scan::all_ports(machine.public));
        let found: BTreeSet<u16> = found.into_keys().collect();
        let allowed: BTreeSet<u16> = match machine.name.as_str() {
            // Without a certificate nothing listens on 443.
            BALANCER => [22, 80, 443].into(),
            _ => [22].into(),
        };
        assert!(found.is_subset(&allowed), "{}: {found:?}", machine.name);
        assert!(found.contains(&22), "{}: {found:?}", machine.name);
    }
    for address in [fleet.entry, fleet.machine(BALANCER).public] {
        assert!(runtime().block_on(scan::opens(address, 80)), "{address}");
    }
}

fn web_ports() {
    let fleet = Fleet::balanced();
    for host in WEB {
        let address = fleet.machine(host).private;
        for (from, expected) in [(BALANCER, true), ("worker1", false), ("redis1", false)] {
            let opens = scan::inside(fleet.machine(from).droplet, |runtime| {
                runtime.block_on(scan::opens(address, 80))
            });
            assert_eq!(opens, expected, "{from} to {host}:80");
        }
    }
}

fn visitor() {
    let fleet = Fleet::balanced();
    let own = UdpSocket::bind("0.0.0.0:0").unwrap();
    own.connect((fleet.entry, 80)).unwrap();
    let own = own.local_addr().unwrap().ip().to_string();
    let request = client()
        .get(format!("http://{}/.visitor", fleet.entry))
        .header(HOST, FLOW)
        .header("X-Forwarded-For", "203.0.113.66")
        .header("X-Real-IP", "203.0.113.66");
    assert_eq!(
        block_on(async { request.send().await }).unwrap().status(),
        404
    );
    let seen: String = WEB
        .iter()
        .map(|host| fleet.on(host, "grep -h ' /.visitor ' /var/log/nginx/*.log || :"))
        .collect();
    assert!(seen.starts_with(&format!("{own} ")), "{seen}");
    assert!(!seen.contains("203.0.113.66"), "{seen}");
}

fn unknown_name() {
    let fleet = Fleet::balanced();
    for name in ["other.test", "flow.marg.test.other.test", "flow"] {
        let page = fleet.browser().get(name, "/livez").has(421);
        assert_eq!(page.body, "This name is not served here.");
    }
    // A port in the name and capital letters are the same name.
    for name in ["flow.marg.test:80", "FLOW.marg.test"] {
        fleet.browser().get(name, "/livez").has(200);
    }
}

fn metrics() {
    let fleet = Fleet::balanced();
    let lb = fleet.machine(BALANCER);
    let ask = format!("curl -sS -f --max-time 5 http://{}:8404", lb.private);
    let metrics = fleet.on("worker1", &format!("{ask}/metrics"));
    assert!(metrics.contains("haproxy_server_status{proxy=\"flow-marg\",server=\"http2\""));
    assert!(
        fleet
            .on("worker1", &format!("{ask}/stats"))
            .contains("Statistics")
    );
    assert!(!runtime().block_on(scan::opens(lb.public, 8404)));
    let mode = fleet.on(BALANCER, "stat -c '%a %U' /run/haproxy/admin.sock");
    assert_eq!(mode.trim(), "600 root");
}

fn reload() {
    let fleet = Fleet::balanced();
    wait_until_all_up(fleet);
    let load = load_on(
        fleet,
        LINKS,
        &["/", "/livez", "/slow?ms=300", "/robots.txt"],
    );
    for _ in 0..5 {
        fleet.on(BALANCER, "systemctl reload haproxy");
    }
    assert_lossless("five reloads of the balancer", &end(load));
    assert!(all_up(fleet), "a reload forgets nothing");
}

fn stays_out() {
    let fleet = Fleet::balanced();
    wait_until_all_up(fleet);
    let set = |state: &str| {
        fleet.on(
            BALANCER,
            &format!(
                "for backend in flow-marg flow-marg.any; do \
                 echo \"set server $backend/http1 state {state}\" | \
                 socat - UNIX-CONNECT:/run/haproxy/admin.sock; done; marg-haproxy save"
            ),
        )
    };
    set("drain");
    for event in [
        "systemctl reload haproxy",
        "systemctl restart haproxy",
        "kill -9 $(systemctl show -p MainPID --value haproxy)",
    ] {
        fleet.on(BALANCER, event);
        until_true("haproxy answers", Duration::from_secs(30), || {
            servers(fleet, "flow-marg").contains_key("http1")
        });
        let found = ["flow-marg", "flow-marg.any"].map(|backend| servers(fleet, backend));
        for servers in found {
            assert_eq!(servers["http1"], "DRAIN", "after {event}");
            assert_ne!(servers["http2"], "DRAIN", "after {event}");
        }
    }
    set("ready");
    wait_until_all_up(fleet);
}

fn killed() {
    let fleet = Fleet::balanced();
    wait_until_all_up(fleet);
    let load = load_on(fleet, FLOW, &["/", "/livez", "/slow?ms=300"]);
    fleet.on("http1", "pkill -9 nginx");
    until_true("the balancer notices", Duration::from_secs(30), || {
        servers(fleet, "flow-marg")["http1"] == "DOWN"
    });
    fleet.on(
        "http1",
        "systemctl reset-failed nginx; systemctl restart nginx",
    );
    wait_until_all_up(fleet);
    assert_lossless("a web server killed", &end(load));
}

/// Takes requests, says nothing, and writes down what they were. The health check is answered.
const DEAF: &str = r#"$s = stream_socket_server('tcp://0.0.0.0:80'); $end = time() + 60;
while (time() < $end && !file_exists('/root/deaf.stop')) {
  $c = @stream_socket_accept($s, 1); if (!$c) continue;
  $r = fread($c, 8192);
  if (stripos($r, 'user-agent: haproxy') !== false)
    fwrite($c, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
  else file_put_contents('/root/deaf.log', strtok($r, "\r") . "\n", FILE_APPEND);
  fclose($c);
}"#;

fn not_repeated() {
    let fleet = Fleet::balanced();
    wait_until_all_up(fleet);
    fleet.on(
        "http1",
        &format!(
            "rm -f /root/deaf.*; : > /root/deaf.log; echo '<?php' > /root/deaf.php\n\
             cat >> /root/deaf.php <<'PHP'\n{DEAF}\nPHP\n\
             systemctl stop nginx; systemd-run -q --unit=marg-test-deaf php /root/deaf.php"
        ),
    );
    wait_until_all_up(fleet);
    let send = |method: &Method, number: u32| {
        let url = format!("http://{}/livez?{method}-{number}", fleet.entry);
        let request = client().request(method.clone(), url).header(HOST, LINKS);
        block_on(async { request.send().await })
            .unwrap()
            .status()
            .as_u16()
    };
    let gets: Vec<u16> = (0..6).map(|number| send(&Method::GET, number)).collect();
    let posts: Vec<u16> = (0..6).map(|number| send(&Method::POST, number)).collect();
    let heard = fleet.on(
        "http1",
        "touch /root/deaf.stop; systemctl stop marg-test-deaf; systemctl start nginx; \
         cat /root/deaf.log; rm -f /root/deaf.*",
    );
    let elsewhere = fleet.on("http2", "cat /var/log/nginx/links-marg.access.log");
    wait_until_all_up(fleet);
    assert_eq!(gets, [200; 6], "{heard}");
    assert!(heard.contains("GET /livez?"), "{heard}");
    for (number, status) in posts.into_iter().enumerate() {
        let request = format!("POST /livez?POST-{number} ");
        let places = [&heard, &elsewhere].map(|log| log.matches(&request).count());
        // Either the deaf server had it and the visitor knows, or the other one answered.
        let expected = if status == 502 { [1, 0] } else { [0, 1] };
        assert_eq!(places, expected, "{request}{status}");
    }
    assert!(heard.contains("POST /livez?"), "{heard}");
}

fn shared_trouble() {
    let fleet = Fleet::balanced();
    wait_until_all_up(fleet);
    let load = load_on(fleet, FLOW, &["/livez"]);
    fleet.on("redis1", "systemctl stop redis-server");
    until_true("no server is ready", Duration::from_secs(30), || {
        let servers = servers(fleet, "flow-marg");
        servers.values().all(|status| status == "DOWN")
    });
    let report = end(load);
    fleet.on("redis1", "systemctl start redis-server");
    wait_until_all_up(fleet);
    assert_lossless("Redis stopped", &report);
}
