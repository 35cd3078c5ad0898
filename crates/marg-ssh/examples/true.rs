//! How long connecting, logging in and running `true` take on some hosts at once:
//!
//!     true IDENTITY KNOWN_HOSTS NAME=USER@ADDRESS:PORT …
//!
//! The names are those of the known hosts file. Compare with `ssh … true` in parallel.
#![allow(clippy::print_stdout)]

use std::path::Path;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use marg_ssh::{Deadline, KeyPair, KnownHosts, Session, SshError, Target};

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [identity, known_hosts, hosts @ ..] = arguments.as_slice() else {
        return Err("usage: true IDENTITY KNOWN_HOSTS NAME=USER@ADDRESS:PORT …".into());
    };
    let identity = KeyPair::load(Path::new(identity))?;
    let known_hosts = KnownHosts::load(Path::new(known_hosts))?;
    let targets = hosts
        .iter()
        .map(|host| parse(host, &known_hosts))
        .collect::<Result<Vec<_>, _>>()?;
    let started = Instant::now();
    let times = try_join_all(targets.iter().map(|target| visit(target, &identity))).await?;
    let all = started.elapsed();
    for (target, (connected, done)) in targets.iter().zip(times) {
        println!(
            "{}: logged in {connected:.0?}, done {done:.0?}",
            target.name
        );
    }
    println!(
        "{} hosts: {:.1} ms",
        targets.len(),
        all.as_secs_f64() * 1000.0
    );
    Ok(())
}

fn parse(host: &str, known_hosts: &KnownHosts) -> Result<Target, Box<dyn std::error::Error>> {
    let parts = || {
        let (name, rest) = host.split_once('=')?;
        let (user, rest) = rest.split_once('@')?;
        let (address, port) = rest.rsplit_once(':')?;
        Some((name, user, address, port.parse().ok()?))
    };
    let (name, user, address, port) =
        parts().ok_or_else(|| format!("{host}: expected NAME=USER@ADDRESS:PORT"))?;
    let mut target = Target::new(name, address, user, known_hosts.require(name)?);
    target.port = port;
    Ok(target)
}

async fn visit(target: &Target, identity: &KeyPair) -> Result<(Duration, Duration), SshError> {
    let deadline = Deadline::after(Duration::from_secs(30));
    let started = Instant::now();
    let session = Session::connect(target, identity, deadline).await?;
    let connected = started.elapsed();
    session.run("true", b"", deadline).await?;
    Ok((connected, started.elapsed()))
}
