//! `marg ssh`

use std::ffi::OsString;
use std::os::unix::process::CommandExt as _;
use std::process::Command;

use crate::args::PhaseArg;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::output::Shape;

/// Open a shell on a host, or run one command there
///
/// Runs OpenSSH with this environment's key and the host keys that marg has pinned, so the
/// host is checked as strictly as marg checks it.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Host, for example http1
    host: String,

    /// Command; without it a shell is opened
    #[arg(last = true)]
    command: Vec<OsString>,

    #[command(flatten)]
    phase: PhaseArg,
}

const EXAMPLES: &str = "\
Examples:
  marg ssh http1
  marg ssh mysql1 -- journalctl -u mariadb -n 50";

/// Becomes OpenSSH.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let session = context.session(args.phase, Shape::Document).await?;
    let argv = session
        .engine
        .ssh_command(&session.blueprint, &args.host)
        .await?;
    context.output.finish();
    let mut words = argv.into_iter().chain(args.command);
    let Some(program) = words.next() else {
        return Err(Failure::new(
            Kind::Other,
            "the engine gave no command; this is a bug in marg",
        ));
    };
    // Only returns when the program could not be started.
    let error = Command::new(&program).args(words).exec();
    Err(Failure::io(&format!("start {}", program.display()), &error)
        .hint("install OpenSSH's client: apt-get install openssh-client"))
}
