//! `marg lab`: the local cloud, up and down and looked at.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use clap::{Subcommand, ValueHint};
use marg::Endpoint;
use marg::lab::{self, Config, DownOptions, LabEndpoint, LabError, LabEvent, UpOptions};
use serde_json::json;

use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::output::{Output, Shape};
use crate::render;

#[path = "lab_fault.rs"]
mod fault;

/// Run a DigitalOcean of your own on this machine, with real Debian machines
///
/// The lab is an API like DigitalOcean's on loopback, and machines that boot in seconds. Its
/// firewalls, private networks and addresses work; nothing it runs can reach the internet, but
/// for a cache of Debian packages. It needs root. --lab in front of any verb brings it up by
/// itself; `marg lab down` leaves nothing of it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    #[command(subcommand)]
    verb: LabVerb,
}

const EXAMPLES: &str = "\
Examples:
  marg lab up                       builds the machines' image the first time
  marg --lab provision --phase 2    the whole of Phase 2 in it
  export $(marg lab env)            any DigitalOcean client in this shell now uses it
  marg lab down";

#[derive(Debug, Subcommand)]
enum LabVerb {
    /// Bring the lab up: install what it needs, build the image, start the API
    Up(UpArgs),
    /// Take the lab down: machines, network and API are gone, the built image stays
    Down(DownArgs),
    /// Show the lab's machines
    Status,
    /// Show what a machine printed on its console
    Logs(LogsArgs),
    /// Open a root shell in a machine, or run a command there, without network or SSH
    Shell(ShellArgs),
    /// Let something go wrong in a machine or in the API, to see what survives it
    Fault(fault::Args),
    /// Print the lab's address and token as variables: `export $(marg lab env)`
    Env,
    /// The daemon that `up` starts
    #[command(hide = true)]
    Serve,
}

#[derive(Debug, clap::Args)]
struct UpArgs {
    /// Where the API listens [default: 127.0.0.1:4050]
    #[arg(long, value_name = "ADDRESS:PORT")]
    api: Option<SocketAddr>,

    /// Debian mirror [default: the one that this machine's apt uses]
    #[arg(long, value_name = "URL", value_hint = ValueHint::Url)]
    mirror: Option<String>,

    /// Build this image too, for example debian-sid-x64; otherwise the first droplet that asks
    /// for it has to wait
    #[arg(long = "image", value_name = "SLUG")]
    images: Vec<String>,
}

#[derive(Debug, clap::Args)]
struct DownArgs {
    /// Remove the built images and the package cache too
    #[arg(long)]
    purge: bool,
}

#[derive(Debug, clap::Args)]
struct LogsArgs {
    /// Machine: its droplet's name, id or address, or the host's name
    host: String,

    /// Go on showing what comes
    #[arg(long, short)]
    follow: bool,
}

#[derive(Debug, clap::Args)]
struct ShellArgs {
    /// Machine: its droplet's name, id or address, or the host's name
    host: String,

    /// Command to run instead of a shell; one word is a script for the machine's own
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

impl Args {
    /// Whether this is the daemon, which listens for signals itself.
    pub fn is_daemon(&self) -> bool {
        matches!(self.verb, LabVerb::Serve)
    }
}

/// Does what the inner verb says.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    match args.verb {
        LabVerb::Up(args) => up(args, context).await,
        LabVerb::Down(args) => down(args, context).await,
        LabVerb::Status => status(context).await,
        LabVerb::Logs(args) => logs(&args, context),
        LabVerb::Shell(args) => shell(&args, context),
        LabVerb::Fault(args) => fault::run(args, context).await,
        LabVerb::Env => env(context).await,
        LabVerb::Serve => Ok(lab::serve(Config::load()?).await?),
    }
}

/// Brings the lab up, or finds that it is up.
pub async fn ensure_up(output: &Output) -> Result<Endpoint, Failure> {
    let endpoint = bring_up(UpOptions::new(serve_command()?), output).await?;
    let own = Endpoint::new(endpoint.url, endpoint.token)?;
    Ok(match (endpoint.machine_url, endpoint.entry_token) {
        (Some(url), Some(token)) => own.for_hosts(&url)?.with_entry_token(token),
        _ => own,
    })
}

async fn up(args: UpArgs, context: &Context) -> Result<(), Failure> {
    let mut options = UpOptions::new(serve_command()?);
    options.api = args.api.unwrap_or(options.api);
    options.mirror = args.mirror;
    for image in args.images {
        if !options.images.contains(&image) {
            options.images.push(image);
        }
    }
    context.output.listen(Shape::Events, false)?;
    let endpoint = bring_up(options, &context.output).await?;
    context
        .output
        .result("lab_up", &json!({ "url": endpoint.url }))?;
    context.output.text(&render::lab_up(&endpoint.url))
}

async fn bring_up(options: UpOptions, output: &Output) -> Result<LabEndpoint, Failure> {
    let listener = output.clone();
    let mut on_event = move |event: LabEvent| {
        // Every command with `--lab` comes by here; where nothing was to do, nothing is said.
        if !matches!(event, LabEvent::Unchanged { .. }) {
            listener.lab(event);
        }
    };
    blocking(move || lab::up(&options, &mut on_event)).await
}

async fn down(args: DownArgs, context: &Context) -> Result<(), Failure> {
    context.output.listen(Shape::Events, false)?;
    let listener = context.output.clone();
    let options = DownOptions { purge: args.purge };
    blocking(move || lab::down(options, &mut |event: LabEvent| listener.lab(event))).await?;
    context.output.result("lab_down", &json!({}))?;
    context.output.text(&render::lab_down(args.purge))
}

async fn status(context: &Context) -> Result<(), Failure> {
    let status = blocking(lab::status).await?;
    context.output.document(&render::lab_document(&status))?;
    context.output.text(&render::lab_status(&status))
}

async fn env(context: &Context) -> Result<(), Failure> {
    let status = blocking(lab::status).await?;
    let endpoint = lab::endpoint()?
        .filter(|_| status.running)
        .ok_or_else(not_up)?;
    let mut variables = vec![
        ("DIGITALOCEAN_API_URL", endpoint.url.clone()),
        ("DIGITALOCEAN_TOKEN", endpoint.token.expose().to_owned()),
    ];
    if let Some(url) = endpoint.machine_url {
        variables.push(("MARG_HOSTS_API_URL", url));
    }
    if let Some(token) = endpoint.entry_token {
        variables.push(("MARG_SECRET_ENTRY_TOKEN", token.expose().to_owned()));
    }
    match context.output.is_json() {
        true => {
            let pairs: BTreeMap<&str, String> = variables.into_iter().collect();
            context.output.document(&pairs)
        }
        false => {
            let lines = variables
                .iter()
                .map(|(name, value)| format!("{name}={value}"));
            context.output.raw(&lines.collect::<Vec<_>>().join("\n"))
        }
    }
}

fn not_up() -> Failure {
    Failure::new(Kind::Cloud, "the lab is not up").hint("bring it up with `marg lab up`")
}

fn logs(args: &LogsArgs, context: &Context) -> Result<(), Failure> {
    let path = lab::logs(&args.host)?;
    let mut tail = Command::new("tail");
    tail.args(["-n", "+1"])
        .args(args.follow.then_some("-F"))
        .arg("--")
        .arg(path);
    become_program(tail, context)
}

fn shell(args: &ShellArgs, context: &Context) -> Result<(), Failure> {
    become_program(lab::shell_command(&args.host, &args.command)?, context)
}

/// Replaces this program by another one; only returns when that could not be started.
fn become_program(mut command: Command, context: &Context) -> Result<(), Failure> {
    context.output.finish();
    let error = command.exec();
    let name = command.get_program().display().to_string();
    Err(Failure::io(&format!("start {name}"), &error))
}

/// This very program, as the lab's daemon.
fn serve_command() -> Result<Vec<OsString>, Failure> {
    let program = std::env::current_exe();
    let program = program.map_err(|error| Failure::io("find this program's own file", &error))?;
    Ok(vec![program.into(), "lab".into(), "serve".into()])
}

/// The lab's own work waits for programs; it must not keep Ctrl-C from being heard.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LabError> + Send + 'static,
) -> Result<T, Failure> {
    let done = tokio::task::spawn_blocking(work).await;
    Ok(done.map_err(|error| Failure::io("work in the background", &error.into()))??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::plain;

    #[test]
    fn a_lab_that_is_not_up_says_what_to_do() {
        insta::assert_snapshot!("error-lab-not-up", plain(&render::failure(&not_up())));
    }
}
