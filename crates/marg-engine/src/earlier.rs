//! What an earlier version of marg made on hosts and others may still use: it stays while everything
//! else is made as it should be, and goes in the same run when nobody needs it any more.

use std::collections::BTreeSet;

use futures_util::future::join_all;
use marg_model::{EarlierForm, Event, Fleet, Secrets};
use marg_resources::{Answer, Earlier, HostAnswer, Misread, Role, quote};

use crate::crew::Crew;
use crate::desired::Desired;
use crate::engine::Engine;
use crate::error::EngineError;
use crate::host::link::Link;
use crate::leaders::answer;

/// The part of a probe that tells whether a host has it.
pub fn section<'a>(roles: impl Iterator<Item = &'a dyn Role>) -> String {
    let looks = roles.filter_map(|role| Some((role.schema().name, role.earlier()?)));
    let looks: String = looks
        .map(|(name, earlier)| format!("if {}; then echo {}; fi\n", earlier.there, quote(name)))
        .collect();
    marg_resources::section("earlier", &format!("{looks}:"))
}

/// Reads what [`section`] printed: the roles of which a host has it.
pub fn read(answer: &Answer, roles: &[&dyn Role]) -> Result<BTreeSet<&'static str>, Misread> {
    let known: BTreeSet<&'static str> = roles.iter().map(|role| role.schema().name).collect();
    let misread = |line: &String| Misread::Line {
        kind: "earlier".to_owned(),
        line: line.clone(),
    };
    let lines = answer.section("earlier")?.iter();
    lines
        .map(|line| {
            known
                .get(line.as_str())
                .copied()
                .ok_or_else(|| misread(line))
        })
        .collect()
}

/// Whether hosts that have it keep it.
pub fn may_stay(fleet: &Fleet) -> bool {
    fleet.earlier != EarlierForm::Gone
}

/// The fleet as a host sees it that has it, or has it not.
pub fn kept(fleet: &Fleet, there: bool) -> Fleet {
    let earlier = if there {
        EarlierForm::Kept
    } else {
        fleet.earlier
    };
    Fleet {
        earlier,
        ..fleet.clone()
    }
}

/// Takes away what hosts have of it, if nobody needs it any more; else says who does.
pub async fn let_go(
    engine: &Engine,
    crew: &mut Crew<'_>,
    mut fleet: Fleet,
    secrets: &Secrets,
) -> Result<(), EngineError> {
    let needed = ask_all(engine, crew, &fleet, secrets).await?;
    if !needed.is_empty() {
        for message in needed {
            engine.emit(Event::Note {
                host: None,
                message,
            });
        }
        return Ok(());
    }
    engine.emit(Event::PhaseStarted {
        name: "hosts without what nobody needs any more".to_owned(),
    });
    fleet.earlier = EarlierForm::Gone;
    crew.converge(&mut fleet).await;
    Ok(())
}

async fn ask_all(
    engine: &Engine,
    crew: &mut Crew<'_>,
    fleet: &Fleet,
    secrets: &Secrets,
) -> Result<Vec<String>, EngineError> {
    let desired = engine.desired(fleet, secrets);
    let mut borrowed = Vec::new();
    for host in &fleet.blueprint.hosts {
        borrowed.push((host.name.clone(), crew.borrow(fleet, host).await?));
    }
    let asking = borrowed
        .iter_mut()
        .map(|(_, linked)| needed_on(&desired, &mut linked.link));
    let answers = join_all(asking).await;
    crew.links.extend(borrowed);
    let answers: Result<Vec<Vec<String>>, EngineError> = answers.into_iter().collect();
    Ok(answers?.concat())
}

/// What a plan says of it, where hosts have it of these roles: who needs it now, or that it goes at
/// the end of the run.
pub async fn outlook(
    desired: &Desired<'_>,
    links: &mut [Link],
    there: &BTreeSet<&'static str>,
) -> Result<Vec<String>, EngineError> {
    let asking = links.iter_mut().map(|link| needed_on(desired, link));
    let answers: Result<Vec<Vec<String>>, EngineError> =
        join_all(asking).await.into_iter().collect();
    let needed = answers?.concat();
    if !needed.is_empty() {
        return Ok(needed);
    }
    let all = desired.roles.iter();
    let all = all.filter(|role| there.contains(role.schema().name));
    let all = all.filter_map(|role| role.earlier());
    let goes = all.map(|earlier| {
        format!(
            "{} goes at the end of the run, when nobody uses it any more",
            earlier.what
        )
    });
    Ok(goes.collect())
}

/// Who on a host still needs what, a sentence each.
pub async fn needed_on(desired: &Desired<'_>, link: &mut Link) -> Result<Vec<String>, EngineError> {
    let name = link.host.clone();
    let missing = || EngineError::NoMachine { host: name.clone() };
    let host = desired.fleet.blueprint.host(&name).ok_or_else(missing)?;
    let machine = desired.fleet.machine(&name).ok_or_else(missing)?;
    let context = desired.context_of(host, machine)?;
    let mut needed = Vec::new();
    for earlier in desired.roles.iter().filter_map(|role| role.earlier()) {
        let said = answer(link, &(earlier.needed)(&context)).await?;
        needed.extend(sentences(&earlier, &name, &said));
    }
    Ok(needed)
}

fn sentences(earlier: &Earlier, host: &str, said: &HostAnswer) -> Vec<String> {
    let stays = |why: &str| format!("{} stays for now: {why}", earlier.what);
    match said {
        HostAnswer::Said(text) => {
            let lines = text.lines().filter(|line| !line.is_empty());
            lines
                .map(|line| stays(&format!("on {host} {line}")))
                .collect()
        }
        HostAnswer::NotThere | HostAnswer::Silent => {
            vec![stays(&format!("{host} does not answer"))]
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use marg_model::RoleSchema;
    use marg_resources::{Context, Resource, RoleError};

    use super::*;

    struct Old;

    impl Role for Old {
        fn schema(&self) -> RoleSchema {
            RoleSchema {
                name: "old",
                doc: "",
                settings: &[],
            }
        }

        fn resources(&self, _context: &Context) -> Result<Vec<Resource>, RoleError> {
            Ok(Vec::new())
        }
    }

    #[test]
    fn junk_is_an_error() {
        let read_of = |lines: &str| read(&Answer::default().with("earlier", lines), &[&Old]);
        assert!(read_of("").unwrap().is_empty());
        assert_eq!(read_of("old\n").unwrap(), BTreeSet::from(["old"]));
        assert!(read_of("elsewhere\n").is_err());
        assert!(read(&Answer::default(), &[&Old]).is_err());
    }

    #[test]
    fn who_does_not_answer_may_need_it() {
        let earlier = Earlier {
            what: "the old cache",
            there: "false",
            openings: Vec::new,
            needed: |_| String::new(),
        };
        let of = |said: &str| sentences(&earlier, "http1", &HostAnswer::Said(said.to_owned()));
        assert_eq!(of(""), [""; 0]);
        let one = ["the old cache stays for now: on http1 shop asks it"];
        assert_eq!(of("shop asks it\n"), one);
        let silent = ["the old cache stays for now: http1 does not answer"];
        assert_eq!(sentences(&earlier, "http1", &HostAnswer::Silent), silent);
    }
}
