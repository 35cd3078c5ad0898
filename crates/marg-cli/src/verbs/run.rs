//! `marg run`

use std::collections::BTreeMap;

use marg::RunOutput;

use crate::args::PhaseArg;
use crate::context::Context;
use crate::failure::{Failure, Kind};
use crate::output::Shape;

/// Run a command on hosts, side by side
///
/// Every line of output stands behind its host's name. One word is run by the host's shell as
/// it is; several words are one command with its arguments.
#[derive(Debug, clap::Args)]
#[command(after_long_help = EXAMPLES)]
pub struct Args {
    /// Host or group; may be given more than once [default: every host]
    #[arg(long, short, value_name = "TARGET")]
    on: Vec<String>,

    /// Command
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,

    #[command(flatten)]
    phase: PhaseArg,
}

const EXAMPLES: &str = "\
Examples:
  marg run -- uptime
  marg run --on http --on worker1 -- systemctl is-active supervisor
  marg run --on mysql -- 'du -sh /var/lib/mysql | cut -f1'

Exits with 1 when the command failed on any host.";

/// Runs and reports.
pub async fn run(args: Args, context: &Context) -> Result<(), Failure> {
    context.output.listen(Shape::Events, true)?;
    let session = context.session(args.phase, Shape::Events).await?;
    let targets = match args.on.is_empty() {
        true => session
            .blueprint
            .hosts
            .iter()
            .map(|host| host.name.clone())
            .collect(),
        false => args.on,
    };
    let command = command_line(&args.command);
    let outputs = session
        .engine
        .run(&session.blueprint, &targets, &command)
        .await?;
    context.output.result("ran", &outputs)?;
    verdict(&outputs)
}

/// One word is a script; several are quoted so that they arrive as they were written.
fn command_line(words: &[String]) -> String {
    match words {
        [script] => script.clone(),
        words => words
            .iter()
            .map(|word| marg::quote(word))
            .collect::<Vec<_>>()
            .join(" "),
    }
}

/// Hosts on which the command failed, by exit status.
fn verdict(outputs: &[RunOutput]) -> Result<(), Failure> {
    let mut failed: BTreeMap<i32, Vec<&str>> = BTreeMap::new();
    for output in outputs.iter().filter(|output| output.status != 0) {
        failed.entry(output.status).or_default().push(&output.host);
    }
    if failed.is_empty() {
        return Ok(());
    }
    let parts = failed
        .iter()
        .map(|(status, hosts)| format!("{status} on {}", hosts.join(", ")));
    let parts: Vec<String> = parts.collect();
    Err(Failure::new(
        Kind::Other,
        format!("the command exited with {}", parts.join("; ")),
    ))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use crate::testing::plain;

    #[test]
    fn one_word_is_a_script_and_several_are_quoted() {
        for (words, expected) in [
            (vec!["df -h | tail -1"], "df -h | tail -1"),
            (vec!["echo", "a b", "$HOME"], "echo 'a b' '$HOME'"),
        ] {
            let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
            assert_eq!(command_line(&words), expected);
        }
    }

    #[test]
    fn failures_are_told_by_status() {
        let output = |host: &str, status| RunOutput {
            host: host.to_owned(),
            status,
            stdout: String::new(),
            stderr: String::new(),
        };
        assert!(verdict(&[output("http1", 0)]).is_ok());
        let outputs = [
            output("http1", 3),
            output("http2", 0),
            output("http3", 3),
            output("db", 127),
        ];
        let failure = verdict(&outputs).unwrap_err();
        insta::assert_snapshot!("error-run", plain(&crate::render::failure(&failure)));
    }
}
