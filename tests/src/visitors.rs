//! Visitors: people who use both applications all the time, at an even pace, and write down
//! every request with its time. What an application has confirmed to them must never be lost.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use reqwest::header::{CONTENT_TYPE, COOKIE, HOST, LOCATION};
use reqwest::{Client, Method, RequestBuilder};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::fleet::{FLOW, LINKS, block_on};
use crate::web::{Browser, client, escape};

/// A visitor who waits longer than this has gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many they are.
pub const VISITORS: usize = 4;

/// One request.
#[derive(Clone, Debug)]
pub struct Seen {
    /// When it was sent.
    pub sent: Instant,
    /// How long it took, to the end of the answer.
    pub took: Duration,
    /// What was asked: `GET flow.marg.test/`.
    pub what: String,
    /// The status, if there was an answer.
    pub status: Option<u16>,
    /// What went wrong, if something did.
    pub trouble: Option<String>,
}

/// What was confirmed, by name.
#[derive(Clone, Debug, Default)]
pub struct Confirmed {
    /// What jobs and rows of these visitors begin with: `job-NAME-`, `row-NAME-`.
    pub name: String,
    /// Jobs of flow.marg and of links.marg that were taken.
    pub jobs: [BTreeSet<String>; 2],
    /// Titles of links that were added.
    pub rows: BTreeSet<String>,
}

#[derive(Debug, Default)]
struct Diary {
    seen: Vec<Seen>,
    confirmed: Confirmed,
}

/// Visitors at work. Dropping them ends them.
#[derive(Debug)]
pub struct Visitors {
    tasks: JoinSet<()>,
    stop: watch::Sender<bool>,
    diary: Arc<Mutex<Diary>>,
}

/// One of them.
#[derive(Clone)]
struct Visitor {
    url: String,
    cookie: String,
    token: String,
    name: String,
    stopped: watch::Receiver<bool>,
    diary: Arc<Mutex<Diary>>,
}

/// Logs in at flow.marg, which is a login at links.marg as well.
#[track_caller]
pub fn log_in(entry: Ipv4Addr) -> Browser {
    let mut browser = Browser::new(entry);
    let token = browser.get(FLOW, "/login").has(200).token();
    let fields = [
        ("name", "demo"),
        ("password", "demo"),
        ("_token", token.as_str()),
    ];
    browser.post(FLOW, "/login", &fields).has(302);
    browser
}

impl Visitors {
    /// Two who read pages, one who orders jobs, and one who adds links.
    #[track_caller]
    pub fn start(entry: Ipv4Addr) -> Self {
        let mut browser = log_in(entry);
        let token = browser.get(LINKS, "/links").has(200).token();
        let (stop, stopped) = watch::channel(false);
        let name = name();
        let diary = Arc::<Mutex<Diary>>::default();
        lock(&diary).confirmed.name.clone_from(&name);
        let visitor = Visitor {
            url: format!("http://{entry}"),
            cookie: browser.cookie_header(),
            token,
            name,
            stopped,
            diary: Arc::clone(&diary),
        };
        let mut tasks = JoinSet::new();
        block_on(async {
            tasks.spawn(visitor.clone().reads(FLOW));
            tasks.spawn(visitor.clone().reads(LINKS));
            tasks.spawn(visitor.clone().orders());
            tasks.spawn(visitor.adds());
        });
        Self { tasks, stop, diary }
    }

    /// All requests that have ended so far, in the order of their end.
    pub fn seen(&self) -> Vec<Seen> {
        lock(&self.diary).seen.clone()
    }

    /// Ends them and tells everything.
    pub fn stop(mut self) -> (Vec<Seen>, Confirmed) {
        self.stop.send_replace(true);
        block_on(async {
            while let Some(ended) = self.tasks.join_next().await {
                if let Err(error) = ended {
                    std::panic::resume_unwind(error.into_panic());
                }
            }
        });
        let diary = lock(&self.diary);
        (diary.seen.clone(), diary.confirmed.clone())
    }
}

/// A name that no visitors had before, on the same fleet neither.
fn name() -> String {
    static STARTED: AtomicU32 = AtomicU32::new(0);
    let started = STARTED.fetch_add(1, Ordering::Relaxed);
    format!("{}-{started}", std::process::id())
}

fn lock(diary: &Mutex<Diary>) -> std::sync::MutexGuard<'_, Diary> {
    diary.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Visitor {
    /// Pages of an application, every second one over a new connection.
    async fn reads(self, host: &'static str) {
        let kept = client();
        // Links come from wherever the application reads: a replica, where there is one.
        let second = if host == LINKS { "/links" } else { "/version" };
        let paths = ["/", second, "/me", "/robots.txt", "/slow?ms=200"];
        let mut number = 0;
        while self.goes_on(Duration::from_millis(200)).await {
            let path = paths[number % paths.len()];
            let request = |client: &Client| self.request(client, Method::GET, host, path);
            let request = match number % 2 {
                0 => request(&kept),
                _ => request(&kept).header("connection", "close"),
            };
            let asked = format!("GET {host}{path}");
            self.ask(request, &asked, |status, _| status == 200).await;
            number += 1;
        }
    }

    /// A job, by turns in either application.
    async fn orders(self) {
        let client = client();
        let mut number = 0;
        while self.goes_on(Duration::from_millis(500)).await {
            let (place, host) = [(0, FLOW), (1, LINKS)][number % 2];
            let name = format!("job-{}-{number}", self.name);
            let path = format!("/dispatch?name={name}");
            let request = self.request(&client, Method::POST, host, &path);
            let asked = format!("POST {host}{path}");
            if self.ask(request, &asked, |status, _| status == 202).await {
                lock(&self.diary).confirmed.jobs[place].insert(name);
            }
            number += 1;
        }
    }

    /// A link, as somebody who is logged in.
    async fn adds(self) {
        let client = client();
        let mut number = 0;
        while self.goes_on(Duration::from_millis(500)).await {
            let title = format!("row-{}-{number}", self.name);
            let form = format!(
                "title={title}&url=http%3A%2F%2Fmarg.test%2F{number}&_token={}",
                escape(&self.token)
            );
            let request = self
                .request(&client, Method::POST, LINKS, "/links")
                .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
                .body(form);
            let added = |status: u16, location: &str| status == 302 && location.ends_with("/links");
            let asked = format!("POST {LINKS}/links {title}");
            if self.ask(request, &asked, added).await {
                lock(&self.diary).confirmed.rows.insert(title);
            }
            number += 1;
        }
    }

    /// False when it is time to go.
    async fn goes_on(&self, pause: Duration) -> bool {
        let mut stopped = self.stopped.clone();
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => false,
            () = tokio::time::sleep(pause) => true,
        }
    }

    fn request(&self, client: &Client, method: Method, host: &str, path: &str) -> RequestBuilder {
        let request = client.request(method, format!("{}{path}", self.url));
        let request = request.header(HOST, host).header(COOKIE, &self.cookie);
        request.timeout(PATIENCE)
    }

    /// Asks once, reads the whole answer, and writes it down. `well` judges status and location.
    async fn ask(
        &self,
        request: RequestBuilder,
        what: &str,
        well: impl Fn(u16, &str) -> bool,
    ) -> bool {
        let sent = Instant::now();
        let (status, trouble) = match read(request).await {
            Ok((status, location)) if well(status, &location) => (Some(status), None),
            Ok((status, location)) => (Some(status), Some(format!("{status} {location}"))),
            Err(error) => (None, Some(format!("{error:?}"))),
        };
        let good = trouble.is_none();
        lock(&self.diary).seen.push(Seen {
            sent,
            took: sent.elapsed(),
            what: what.to_owned(),
            status,
            trouble,
        });
        good
    }
}

async fn read(request: RequestBuilder) -> Result<(u16, String), reqwest::Error> {
    let answer = request.send().await?;
    let location = answer.headers().get(LOCATION);
    let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let status = answer.status().as_u16();
    answer.bytes().await?;
    Ok((status, location.unwrap_or_default()))
}
