//! The program `marg`: arguments in, events and results out. What happens is decided in the
//! library; this crate only asks, shows and sets the exit code.

mod args;
mod context;
mod failure;
mod output;
mod render;
mod verbs;

#[cfg(test)]
mod testing;

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser as _;

use crate::args::Cli;
use crate::context::Context;
use crate::failure::Failure;
use crate::output::Output;

/// How long tasks that are still at work may take to let go after an interruption.
const PARTING: Duration = Duration::from_millis(500);

fn main() -> ExitCode {
    let cli = Cli::parse();
    let output = Output::new(cli.global.display());
    output::start_tracing(cli.global.display());
    let result = run(cli, output.clone());
    output.finish();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            ExitCode::from(failure.kind.code())
        }
    }
}

fn run(cli: Cli, output: Output) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::io("start the program's tasks", &error))?;
    let context = Context::new(cli.global, output);
    let daemon = cli.verb.is_daemon();
    let result = runtime.block_on(async {
        // Dropping the verb's future closes its connections; hosts finish the step in hand.
        tokio::select! {
            result = cli.verb.run(&context) => result,
            interrupted = interruption(), if !daemon => Err(interrupted),
        }
    });
    runtime.shutdown_timeout(PARTING);
    result
}

/// Ends when somebody wants the program to stop.
async fn interruption() -> Failure {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = match signal(SignalKind::terminate()) {
        Ok(signal) => signal,
        Err(error) => return Failure::io("listen for signals", &error),
    };
    tokio::select! {
        result = tokio::signal::ctrl_c() => match result {
            Ok(()) => Failure::interrupted(),
            Err(error) => Failure::io("listen for signals", &error),
        },
        _ = terminate.recv() => Failure::interrupted(),
    }
}
