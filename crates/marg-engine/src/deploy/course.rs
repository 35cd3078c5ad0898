//! In which order hosts take a release, and who goes back when one of them fails. Pure.

use marg_model::{Blueprint, Host, OnFailure};

use crate::traffic::serves;

/// Hosts that take a release side by side, before the next turn begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Turn {
    /// Why they are together.
    pub kind: TurnKind,
    /// Names.
    pub hosts: Vec<String>,
}

/// Why hosts take a release together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnKind {
    /// The first web server: when it fails, nobody else has been touched.
    Canary,
    /// A batch of web servers.
    Web,
    /// Workers. Each process goes when its own job is done, so the queues never stand still.
    Workers,
    /// The one that runs the schedule: it follows when all others have the release.
    Scheduler,
}

/// What a course needs to know of a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Name.
    pub name: String,
    /// Whether it answers visitors.
    pub serves: bool,
    /// Whether it runs the schedule.
    pub schedules: bool,
}

/// Hosts of the applications in the order of the blueprint.
pub fn members(blueprint: &Blueprint) -> Vec<Member> {
    let scheduler = blueprint.with_role("scheduler").next();
    let member = |host: &Host| Member {
        name: host.name.clone(),
        serves: serves(host),
        schedules: scheduler.is_some_and(|one| one.name == host.name),
    };
    blueprint.with_role("app").map(member).collect()
}

/// One web server first, then batches of them, then workers, then the scheduler.
pub fn course(members: &[Member], batch: usize) -> Vec<Turn> {
    let names = |wanted: &dyn Fn(&Member) -> bool| -> Vec<String> {
        let wanted = members.iter().filter(|member| wanted(member));
        wanted.map(|member| member.name.clone()).collect()
    };
    let web = names(&|member| member.serves);
    let (canary, others) = web.split_at(web.len().min(1));
    let turn = |kind, hosts: &[String]| Turn {
        kind,
        hosts: hosts.to_vec(),
    };
    let mut turns = vec![turn(TurnKind::Canary, canary)];
    let batches = others.chunks(batch.max(1));
    turns.extend(batches.map(|batch| turn(TurnKind::Web, batch)));
    let workers = names(&|member| !member.serves && !member.schedules);
    turns.push(turn(TurnKind::Workers, &workers));
    let last = names(&|member| !member.serves && member.schedules);
    turns.push(turn(TurnKind::Scheduler, &last));
    turns.retain(|turn| !turn.hosts.is_empty());
    turns
}

/// Which hosts go back to what they had: those that failed always, the others by the policy.
/// Without a balancer nobody notices the difference between hosts, so all go back.
pub fn goes_back<'a>(
    switched: &'a [String],
    failed: &[String],
    policy: OnFailure,
    balanced: bool,
) -> Vec<&'a str> {
    let all = policy == OnFailure::Rollback || !balanced;
    let going = switched.iter().filter(|host| all || failed.contains(host));
    going.map(String::as_str).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `http1+` serves, `worker1*` runs the schedule.
    fn members_of(text: &str) -> Vec<Member> {
        let member = |word: &str| Member {
            name: word.trim_end_matches(['+', '*']).to_owned(),
            serves: word.contains('+'),
            schedules: word.contains('*'),
        };
        text.split_whitespace().map(member).collect()
    }

    fn shown(turns: &[Turn]) -> String {
        let turn = |turn: &Turn| format!("{:?} {}", turn.kind, turn.hosts.join(","));
        turns.iter().map(turn).collect::<Vec<_>>().join(" | ")
    }

    #[test]
    fn turns_follow_each_other() {
        for (hosts, batch, expected) in [
            ("all1+*", 1, "Canary all1"),
            ("http1+ worker1*", 1, "Canary http1 | Scheduler worker1"),
            (
                "http1+ http2+ http3+ worker1* worker2 worker3",
                1,
                "Canary http1 | Web http2 | Web http3 | Workers worker2,worker3 | Scheduler worker1",
            ),
            (
                "http1+ http2+ http3+ http4+ http5+ worker1*",
                2,
                "Canary http1 | Web http2,http3 | Web http4,http5 | Scheduler worker1",
            ),
            (
                "http1+ http2+ http3+ http4+",
                100,
                "Canary http1 | Web http2,http3,http4",
            ),
            ("http1+ http2+", 0, "Canary http1 | Web http2"),
            ("worker1* worker2", 1, "Workers worker2 | Scheduler worker1"),
            ("", 1, ""),
        ] {
            let turns = course(&members_of(hosts), batch);
            assert_eq!(shown(&turns), expected, "{hosts} by {batch}");
        }
    }

    #[test]
    fn the_policy_says_who_goes_back() {
        let words =
            |text: &str| -> Vec<String> { text.split_whitespace().map(str::to_owned).collect() };
        for (switched, failed, policy, balanced, expected) in [
            ("http1", "http1", OnFailure::Stop, true, "http1"),
            ("http1 http2", "http2", OnFailure::Stop, true, "http2"),
            (
                "http1 http2",
                "http2",
                OnFailure::Rollback,
                true,
                "http1 http2",
            ),
            ("http1 http2 http3", "http2", OnFailure::Stop, true, "http2"),
            (
                "http1 worker1",
                "worker1",
                OnFailure::Stop,
                false,
                "http1 worker1",
            ),
        ] {
            let switched = words(switched);
            let going = goes_back(&switched, &words(failed), policy, balanced).join(" ");
            assert_eq!(going, expected, "{failed} of {switched:?}");
        }
    }
}
