//! A tiny HTTP server that answers as a test says, or hangs up.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use marg_cloud::{DigitalOcean, Options, Pace};
use marg_model::Secret;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// The token of every test; it must never show in a message.
pub const TOKEN: &str = "canary-token-0123456789";

/// What arrived.
#[derive(Clone, Debug)]
pub struct Request {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: Value,
}

impl Request {
    /// Method and path.
    pub fn line(&self) -> String {
        format!("{} {}", self.method, self.path)
    }
}

/// What goes back.
pub enum Reply {
    Json(u16, Value),
    /// Status, headers, body.
    Raw(u16, Vec<(&'static str, String)>, String),
    /// The connection ends without a word.
    HangUp,
}

impl Reply {
    pub fn not_found() -> Reply {
        Reply::Json(
            404,
            json!({"id": "not_found", "message": "not found", "request_id": "r-404"}),
        )
    }

    pub fn refused(status: u16, message: &str) -> Reply {
        Reply::Json(
            status,
            json!({"id": "x", "message": message, "request_id": "r-1"}),
        )
    }
}

pub type Handler = Box<dyn FnMut(&Request) -> Reply + Send>;

pub struct Server {
    address: String,
    log: Arc<Mutex<Vec<Request>>>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    pub async fn start(handler: impl FnMut(&Request) -> Reply + Send + 'static) -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let handler: Arc<Mutex<Handler>> = Arc::new(Mutex::new(Box::new(handler)));
        let log = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&log);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&handler), Arc::clone(&seen)));
            }
        });
        Server { address, log, task }
    }

    /// A client with tiny pauses and generous deadlines.
    pub fn cloud(&self) -> DigitalOcean {
        self.cloud_with(|_| {})
    }

    pub fn cloud_with(&self, change: impl FnOnce(&mut Options)) -> DigitalOcean {
        let mut options = Options {
            retry_first: Duration::from_millis(1),
            rate_limit_longest: Duration::from_millis(2),
            pace: Pace {
                poll_first: Duration::from_millis(1),
                poll_longest: Duration::from_millis(3),
                ..Pace::default()
            },
            burst: 10_000,
            ..Options::default()
        };
        change(&mut options);
        DigitalOcean::new(&self.address, Secret::new(TOKEN), options).unwrap()
    }

    /// Everything that arrived so far.
    pub fn requests(&self) -> Vec<Request> {
        self.log.lock().unwrap().clone()
    }

    /// How often this method and path arrived.
    pub fn count(&self, line: &str) -> usize {
        self.requests()
            .iter()
            .filter(|request| request.line() == line)
            .count()
    }
}

async fn serve(stream: TcpStream, handler: Arc<Mutex<Handler>>, log: Arc<Mutex<Vec<Request>>>) {
    let mut stream = BufReader::new(stream);
    while let Some(request) = read(&mut stream).await {
        log.lock().unwrap().push(request.clone());
        let reply = (handler.lock().unwrap())(&request);
        let (status, headers, body) = match reply {
            Reply::HangUp => return,
            Reply::Json(status, body) => (status, Vec::new(), body.to_string()),
            Reply::Raw(status, headers, body) => (status, headers, body),
        };
        let mut text = format!("HTTP/1.1 {status} X\r\nx-request-id: r-{status}\r\n");
        for (name, value) in headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if status == 204 {
            text.push_str("\r\n");
        } else {
            text.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        }
        if stream.write_all(text.as_bytes()).await.is_err() {
            return;
        }
    }
}

async fn read(stream: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    if stream.read_line(&mut line).await.ok()? == 0 {
        return None;
    }
    let mut words = line.split_whitespace();
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await.ok()?;
        let Some((name, value)) = line.trim().split_once(": ") else {
            break;
        };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let length = headers
        .get("content-length")
        .map_or(0, |length| length.parse().unwrap());
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let query = query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| (name.to_owned(), value.replace("%3A", ":")))
        .collect();
    Some(Request {
        method,
        path: path.to_owned(),
        query,
        headers,
        body: serde_json::from_slice(&body).unwrap_or(Value::Null),
    })
}
