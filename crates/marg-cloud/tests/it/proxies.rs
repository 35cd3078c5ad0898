//! What a proxy of the surroundings is told: nothing of what this machine itself is asked, and of
//! what is asked elsewhere only where it goes.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use marg_cloud::{Cloud as _, DigitalOcean, Options};
use marg_model::Secret;

use crate::script::environment;
use crate::server::{Reply, Server, TOKEN};

/// Runs one of the tests below in a process of its own whose variables name a proxy, and returns what
/// that proxy heard.
fn heard_by_a_proxy(test: &str) -> String {
    let proxy = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", proxy.local_addr().unwrap());
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", test, "--ignored"])
        .stdin(Stdio::null());
    for name in [
        "http_proxy",
        "https_proxy",
        "all_proxy",
        "HTTP_PROXY",
        "HTTPS_PROXY",
        "ALL_PROXY",
    ] {
        command.env(name, &address);
    }
    command
        .env_remove("no_proxy")
        .env_remove("NO_PROXY")
        .env_remove("REQUEST_METHOD");
    let mut asking = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    proxy.set_nonblocking(true).unwrap();
    let mut heard = String::new();
    loop {
        let ended = asking.try_wait().unwrap().is_some();
        while let Ok((mut stream, _)) = proxy.accept() {
            stream.set_nonblocking(false).unwrap();
            stream
                .set_read_timeout(Some(Duration::from_secs(5)))
                .unwrap();
            let mut bytes = [0; 4096];
            let count = stream.read(&mut bytes).unwrap_or(0);
            heard.push_str(&String::from_utf8_lossy(&bytes[..count]));
            let _ = stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n");
        }
        if ended {
            break;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    let output = asking.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success() && said.contains("1 passed"),
        "{said}"
    );
    heard
}

#[test]
fn a_proxy_hears_nothing_of_what_this_machine_is_asked() {
    assert_eq!(heard_by_a_proxy("proxies::this_machine_is_asked"), "");
}

#[test]
fn a_proxy_is_told_where_it_goes_and_not_the_token() {
    let heard = heard_by_a_proxy("proxies::another_machine_is_asked");
    // A machine without root certificates asks nobody.
    assert!(
        heard.is_empty() || heard.starts_with("CONNECT api.example.test:443 "),
        "{heard}"
    );
    assert!(
        !heard.contains(TOKEN) && !heard.to_lowercase().contains("authorization"),
        "{heard}"
    );
}

#[tokio::test]
#[ignore = "run by a test above, with a proxy in its variables"]
async fn this_machine_is_asked() {
    let server = Server::start(|_| Reply::not_found()).await;
    let cloud = server.cloud();
    assert!(cloud.droplets_tagged(&environment()).await.is_err());
    assert_eq!(server.requests().len(), 1);
}

#[tokio::test]
#[ignore = "run by a test above, with a proxy in its variables"]
async fn another_machine_is_asked() {
    let options = Options {
        attempts: 1,
        ..Options::default()
    };
    let cloud = DigitalOcean::new("https://api.example.test", Secret::new(TOKEN), options);
    if let Ok(cloud) = cloud {
        assert!(cloud.droplets_tagged(&environment()).await.is_err());
    }
}
