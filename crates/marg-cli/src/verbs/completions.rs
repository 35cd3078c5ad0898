//! `marg completions`

use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;
use crate::context::Context;
use crate::failure::Failure;

/// Print a completion script for your shell
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Shell
    shell: Shell,
}

const EXAMPLES: &str = "\
Examples:
  marg completions bash > /etc/bash_completion.d/marg
  marg completions fish > ~/.config/fish/completions/marg.fish";

/// Prints it.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "marg", &mut script);
    context.output.raw(&String::from_utf8_lossy(&script))
}
