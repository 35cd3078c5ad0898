#![allow(clippy::unwrap_used)]
//! A server that goes wrong on purpose, to know that the counter counts.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::*;

const GOOD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

/// What the server does instead of answering well.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// An answer with another status.
    Answer(&'static [u8]),
    /// A promise of more bytes than it sends.
    BreakOff,
    /// The connection ends without an answer.
    Close,
    /// Nothing ever comes.
    Silence,
}

#[derive(Default)]
struct Seen {
    connections: u64,
    requests: u64,
    asked: BTreeSet<String>,
    headers: BTreeSet<String>,
}

struct Server {
    address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
    _task: JoinSet<()>,
}

impl Server {
    /// Every so-manieth request goes wrong; 0 is never.
    async fn start(every: u64, fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Seen::default()));
        let mut task = JoinSet::new();
        let shared = Arc::clone(&seen);
        task.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                shared.lock().unwrap().connections += 1;
                connections.spawn(serve(stream, Arc::clone(&shared), every, fault));
            }
        });
        Self {
            address,
            seen,
            _task: task,
        }
    }

    fn spec(&self) -> LoadSpec {
        LoadSpec::new(format!("http://{}", self.address))
    }
}

async fn serve(stream: TcpStream, seen: Arc<Mutex<Seen>>, every: u64, fault: Fault) {
    let mut stream = BufReader::new(stream);
    while let Some(head) = read_head(&mut stream).await {
        let number = {
            let mut seen = seen.lock().unwrap();
            seen.requests += 1;
            seen.asked.insert(head[0].clone());
            seen.headers.extend(head[1..].iter().cloned());
            seen.requests
        };
        let answer = match fault {
            _ if every == 0 || number % every != 0 => GOOD,
            Fault::Answer(answer) => answer,
            Fault::BreakOff => b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nok",
            Fault::Close => return,
            Fault::Silence => std::future::pending().await,
        };
        let written = stream.get_mut().write_all(answer).await;
        if written.is_err() || answer.ends_with(b"9\r\n\r\nok") {
            return;
        }
    }
}

/// The lines up to the empty one, in small letters but the first; none when the client left.
async fn read_head(stream: &mut BufReader<TcpStream>) -> Option<Vec<String>> {
    let mut head = Vec::new();
    loop {
        let mut line = String::new();
        let read = stream.read_line(&mut line).await.ok()?;
        match line.trim_end() {
            _ if read == 0 => return None,
            "" => return Some(head),
            line if head.is_empty() => head.push(line.to_owned()),
            line => head.push(line.to_lowercase()),
        }
    }
}

#[tokio::test]
async fn every_failure_is_counted_with_its_reason() {
    let error = b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n";
    let redirect = b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
    for (fault, status, reason) in [
        (Fault::Answer(error), Some(502), "answered 502"),
        (Fault::Answer(redirect), Some(302), "answered 302"),
        (Fault::BreakOff, Some(200), "the answer broke off: "),
        (Fault::Close, None, "no answer: "),
        (Fault::Silence, None, "no answer in time: "),
    ] {
        for keep_alive in [KeepAlive::Mixed, KeepAlive::Never, KeepAlive::Always] {
            if fault == Fault::Silence && keep_alive != KeepAlive::Mixed {
                continue; // Each takes as long as the timeout.
            }
            let server = Server::start(10, fault).await;
            let report = Load::start(LoadSpec {
                keep_alive,
                max_requests: 40,
                // Only silence waits for it, and then it is not to be long.
                timeout: Duration::from_secs(if fault == Fault::Silence { 1 } else { 30 }),
                ..server.spec()
            })
            .unwrap()
            .finish()
            .await;

            let case = format!("{fault:?} {keep_alive:?}: {report}");
            assert_eq!((report.sent, report.ok), (40, 36), "{case}");
            assert_eq!(report.failed_count, 4, "{case}");
            assert_eq!(server.seen.lock().unwrap().requests, 40, "{case}");
            assert_eq!(report.failed.len(), 4, "{case}");
            for failure in &report.failed {
                assert_eq!(failure.status, status, "{case}");
                assert!(failure.reason.starts_with(reason), "{case}");
            }
        }
    }
}

#[tokio::test]
async fn a_server_that_is_gone_fails_every_request() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);

    let report = Load::start(LoadSpec {
        max_requests: 30,
        ..LoadSpec::new(format!("http://{address}"))
    })
    .unwrap()
    .finish()
    .await;

    assert_eq!((report.sent, report.failed_count), (30, 30), "{report}");
    assert_eq!(report.failed.len(), 20);
    assert!(report.by_status.is_empty());
    let reason = &report.failed[0].reason;
    assert!(
        reason.contains("no connection") && reason.contains("refused"),
        "{reason}"
    );
}

#[tokio::test]
async fn a_healthy_server_fails_nothing_and_a_stop_loses_nothing() {
    let server = Server::start(0, Fault::Close).await;
    for pace in [Pace::ClosedLoop, Pace::PerSecond(2000)] {
        server.seen.lock().unwrap().requests = 0;
        let load = Load::start(LoadSpec {
            pace,
            ..server.spec()
        })
        .unwrap();

        assert!(load.reached(100).await, "{pace:?}");
        let report = load.stop().await;

        assert!(report.sent >= 100, "{pace:?}: {report}");
        assert_eq!(report.failed_count, 0, "{pace:?}: {report}");
        assert_eq!(report.by_status.get(&200), Some(&report.sent), "{pace:?}");
        assert_eq!(
            server.seen.lock().unwrap().requests,
            report.sent,
            "{pace:?}"
        );
        assert!(report.p50 <= report.p95 && report.p95 <= report.max);
    }
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_request_that_is_not_due() {
    let server = Server::start(0, Fault::Close).await;
    let load = Load::start(LoadSpec {
        // The second is due when the bound on time is reached: never.
        connections: 1,
        pace: Pace::PerSecond(1),
        max_time: Duration::from_secs(3600),
        ..server.spec()
    })
    .unwrap();
    assert!(load.reached(1).await);
    assert!(load.stop().await.sent <= 2);
}

#[tokio::test]
async fn a_load_ends_by_itself() {
    let server = Server::start(0, Fault::Close).await;
    for (max_requests, max_time, sent) in [(7, 60, 7), (0, 60, 0), (7, 0, 0)] {
        let load = Load::start(LoadSpec {
            max_requests,
            max_time: Duration::from_secs(max_time),
            ..server.spec()
        })
        .unwrap();
        assert!(!load.reached(1000).await);
        let report = load.finish().await;
        assert_eq!((report.sent, report.failed_count), (sent, 0), "{report}");
    }
}

#[tokio::test]
async fn connections_are_kept_or_new_as_asked() {
    for (keep_alive, connections) in [(KeepAlive::Never, 30), (KeepAlive::Always, 1)] {
        let server = Server::start(0, Fault::Close).await;
        let report = Load::start(LoadSpec {
            keep_alive,
            connections: 1,
            max_requests: 30,
            ..server.spec()
        })
        .unwrap()
        .finish()
        .await;
        assert_eq!(report.ok, 30, "{keep_alive:?}: {report}");
        let seen = server.seen.lock().unwrap().connections;
        assert_eq!(seen, connections, "{keep_alive:?}");
    }
    let mixed: Vec<_> = (0..4).map(|n| KeepAlive::Mixed.for_worker(n)).collect();
    assert_eq!(mixed, [true, false, true, false]);
}

#[tokio::test]
async fn paths_take_turns_under_the_name_that_was_asked_for() {
    let server = Server::start(0, Fault::Close).await;
    let report = Load::start(LoadSpec {
        host_header: Some("flow.marg.test".to_owned()),
        paths: vec!["/".to_owned(), "/slow?ms=1".to_owned()],
        headers: vec![("Cookie".to_owned(), "a=b".to_owned())],
        max_requests: 20,
        ..server.spec()
    })
    .unwrap()
    .finish()
    .await;
    assert_eq!(report.ok, 20, "{report}");
    let seen = server.seen.lock().unwrap();
    let asked: Vec<_> = seen.asked.iter().map(String::as_str).collect();
    assert_eq!(asked, ["GET / HTTP/1.1", "GET /slow?ms=1 HTTP/1.1"]);
    assert!(seen.headers.contains("host: flow.marg.test"));
    assert!(seen.headers.contains("cookie: a=b"));
    let hosts = seen.headers.iter().filter(|line| line.starts_with("host:"));
    assert_eq!(hosts.count(), 1);
}

#[test]
fn a_rate_spaces_requests_evenly() {
    for (pace, number, due) in [
        (Pace::PerSecond(100), 0, Some(0)),
        (Pace::PerSecond(100), 50, Some(500)),
        (Pace::PerSecond(4), 3, Some(750)),
        (Pace::ClosedLoop, 3, None),
    ] {
        assert_eq!(
            pace.due(number),
            due.map(Duration::from_millis),
            "{pace:?} {number}"
        );
    }
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_by_name() {
    let good = LoadSpec::new("http://127.0.0.1:1");
    for (spec, expected) in [
        (
            LoadSpec {
                paths: vec![],
                ..good.clone()
            },
            "no paths",
        ),
        (
            LoadSpec {
                connections: 0,
                ..good.clone()
            },
            "no connections",
        ),
        (
            LoadSpec {
                pace: Pace::PerSecond(0),
                ..good.clone()
            },
            "no requests per second",
        ),
        (LoadSpec::new("127.0.0.1:1"), "is not a URL"),
        (LoadSpec::new("ftp://127.0.0.1"), "neither http nor https"),
        (
            LoadSpec {
                paths: vec!["x".into()],
                ..good.clone()
            },
            "does not begin with `/`",
        ),
        (
            LoadSpec {
                headers: vec![("a b".into(), "c".into())],
                ..good.clone()
            },
            "header `a b`",
        ),
        (
            LoadSpec {
                host_header: Some("a\nb".into()),
                ..good.clone()
            },
            "header `host`",
        ),
    ] {
        let error = Load::start(spec).unwrap_err().to_string();
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
