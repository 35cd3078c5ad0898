//! Applies a host's steps and tells what happens: the one place where progress becomes events.

use marg_model::{Event, StepStatus};
use marg_resources::{Check, HostPlan, Step};
use tokio::sync::mpsc;

use crate::engine::Engine;
use crate::host::HostError;
use crate::host::link::{Link, confirm_guard};
use crate::host::steps::Progress;

/// Runs a plan's steps on a host. Changes that could lock the operator out are confirmed by a
/// new connection while the host waits for it.
pub async fn apply(engine: &Engine, link: &mut Link, plan: &HostPlan) -> Result<(), HostError> {
    let (ask, mut asked) = mpsc::unbounded_channel();
    let host = link.host.clone();
    let on = move |progress| {
        if progress == Progress::Guard {
            // The receiver lives as long as this apply; nobody else closes it.
            let _ = ask.send(());
        } else {
            engine.emit(event(&host, plan, progress));
        }
    };
    let applying = link.talk.apply(plan, on);
    let (target, host) = (link.target.clone(), link.host.clone());
    let confirming = async {
        let mut confirmed = 0_u32;
        while asked.recv().await.is_some() {
            match confirm_guard(engine, &target).await {
                Ok(()) => confirmed += 1,
                Err(error) => {
                    let message =
                        format!("the new firewall or sshd settings are put back: {error}");
                    engine.emit(Event::Note {
                        host: Some(host.clone()),
                        message,
                    });
                }
            }
        }
        confirmed
    };
    let (applied, confirmed) = tokio::join!(applying, confirming);
    link.count_confirmations(confirmed);
    // The last lines that a step wrote stand in its error, too.
    applied.map_err(|error| error.redacted(engine))
}

/// Runs bare steps.
pub async fn run_steps(
    engine: &Engine,
    link: &mut Link,
    steps: Vec<Step>,
) -> Result<(), HostError> {
    let plan = HostPlan {
        name: link.host.clone(),
        steps,
        ..HostPlan::default()
    };
    apply(engine, link, &plan).await
}

fn event(host: &str, plan: &HostPlan, progress: Progress) -> Event {
    let host = host.to_owned();
    match progress {
        Progress::Started(step) => {
            let name = plan
                .steps
                .get(step.saturating_sub(1))
                .map(|step| step.name.clone());
            Event::StepStarted {
                host,
                step,
                of: plan.steps.len(),
                name: name.unwrap_or_default(),
            }
        }
        Progress::Ended { step, status, took } => Event::StepFinished {
            host,
            step,
            status: if status == 0 {
                StepStatus::Done
            } else {
                StepStatus::Failed
            },
            millis: u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
        },
        Progress::Output(line) => Event::Output { host, line },
        Progress::Guard => Event::Note {
            host: Some(host),
            message: "waits for a new connection before it keeps the change".to_owned(),
        },
    }
}

/// Asks a host's health questions, all in one look; each is asked again until it passes or its
/// own time is up.
pub async fn check(link: &mut Link, checks: &[Check]) -> Result<(), HostError> {
    if checks.is_empty() {
        return Ok(());
    }
    let script: String = checks
        .iter()
        .enumerate()
        .map(|(i, check)| question(i, check))
        .collect();
    let output = link.talk.look(&script).await?;
    for (index, check) in checks.iter().enumerate() {
        let failed = format!("@check {index} failed ");
        if let Some(line) = output.lines().find_map(|line| line.strip_prefix(&failed)) {
            return Err(HostError::Unhealthy {
                host: link.host.clone(),
                check: check.name.clone(),
                seconds: check.deadline_seconds,
                output: line.to_owned(),
            });
        }
    }
    Ok(())
}

fn question(index: usize, check: &Check) -> String {
    format!(
        "tries={tries}\n\
         until answer=$( ( {script}\n ) 2>&1 ); do\n\
         tries=$((tries - 1))\n\
         if [ $tries -le 0 ]; then\n\
         printf '@check {index} failed %s\\n' \"$(printf %s \"$answer\" | tr '\\n' ' ')\"; break\n\
         fi\n\
         sleep 0.25\n\
         done\n",
        tries = check.deadline_seconds.max(1) * 4,
        script = check.script,
    )
}
