//! Another host leads Redis, on request: the words for it. The Sentinels make the change, since they
//! would undo anybody else's.
//!
//! Before anything stops, they learn whom to choose. Then the proxies let go of the old leader, their
//! clients wait, and what it has written reaches the new one. When whoever ran marg is gone in the
//! middle of it, the Sentinels end what was begun, or the old leader goes on by itself.

use marg_model::Host;
use marg_resources::{Context, Promotion, Shell, quote};

use super::{ASKED_AGAIN, ASKED_EVERY, MASTER, lag_seconds};
use crate::network;
use crate::redis::{self, ask, leader};

/// How another host is made to lead.
pub const PROMOTION: Promotion = Promotion {
    of: "redis",
    judge: leader::judge,
    prepare: Some(prepare),
    retire,
    reinstate,
    catch_up,
    // Who does not answer is replaced by the Sentinels, without anybody's word.
    drain: |_| Shell::new(":\n"),
    release: |_| Shell::new(":\n"),
    take_over: |_| take_over(),
    follow,
};

/// Seconds after which the old leader goes on if nobody says anything any more: more than all that is
/// waited for between. As a rule the Sentinels are sooner: while writes pause they do not hear it
/// either, and replace it with the one that has everything.
const RESPITE: u32 = 30;
/// Milliseconds that a question and its answer may take.
const UNDER_WAY: u32 = 400;
/// The timer that sees to it.
const TIMER: &str = "marg-redis-goes-on";
/// Redis' own.
const PRIORITY: u32 = 100;

fn script(body: &str) -> Shell {
    Shell::new(format!("{}{FUNCTIONS}{body}", ask::functions()))
}

/// `redis_says WORD` is the value of WORD in `INFO replication`; `wait_until SECONDS COMMAND…` ends
/// with what the command ends with at last.
const FUNCTIONS: &str = "redis_says() {
  echo 'INFO replication' | main | tr ' ' '\\n' | sed -n \"s/^$1://p\"
}
wait_until() {
  end=$(($(date +%s) + $1)); shift
  until \"$@\"; do
    [ \"$(date +%s)\" -lt \"$end\" ] || return 1
    sleep 0.1
  done
}
";

/// The Sentinels choose the replica whose priority is the lowest number. They ask for it every ten
/// seconds; the one on the host itself has to know.
fn prepare(context: &Context, candidate: &Host) -> Shell {
    if context.host.name != candidate.name {
        return script(&format!(
            "echo 'CONFIG SET replica-priority {PRIORITY}' | main >/dev/null\n"
        ));
    }
    let own = network::private(context.fleet, candidate);
    script(&format!(
        "echo 'CONFIG SET replica-priority 1' | main >/dev/null\n\
         known() {{\n  \
         echo 'SENTINEL REPLICAS {MASTER}' | sentinel | tr ' ' '\\n' | awk -v own={own} '\n    \
         was == \"ip\" {{ ip = $0 }}\n    \
         was == \"slave-priority\" && ip == own {{ chosen = $0 == 1 }}\n    \
         was == \"slave-priority\" && ip != own && $0 <= 1 {{ rival = 1 }}\n    \
         {{ was = $0 }}\n    \
         END {{ exit !chosen || rival }}'\n\
         }}\n\
         wait_until 40 known || {{ echo 'the Sentinel here does not learn that this host is to lead'; exit 1; }}\n",
    ))
}

/// As soon as it says no more that its replicas are near, the proxies end the connections to it and
/// let new ones wait. What they heard before runs out like a lease, after two of their questions. Then
/// nobody is connected any more, but for those questions, which take no second; whoever is, in another
/// way, cannot write.
fn retire(context: &Context) -> Shell {
    let peers = context.fleet.peers().filter(|host| host.has_role("redis"));
    let fellows: Vec<String> = peers
        .map(|host| network::private(context.fleet, host).to_string())
        .collect();
    let go_on = format!("{}{}", ask::functions(), open(context));
    script(&format!(
        "{settled}\
         systemd-run -q --unit={TIMER} --on-active={RESPITE} --timer-property=AccuracySec=1s \
         sh -c {go_on}\n\
         echo 'CONFIG SET min-replicas-max-lag 0' | main >/dev/null\n\
         sleep {heard}\n\
         alone() {{\n  \
         echo 'CLIENT LIST TYPE normal' | main | tr ' ' '\\n' | awk -v fellows=' 127.0.0.1 {fellows} ' '\n    \
         /^addr=/ {{ sub(\"addr=\", \"\"); sub(/:[0-9]*$/, \"\"); from = $0 }}\n    \
         /^age=/ {{ sub(\"age=\", \"\"); if ($0 >= 1 && !index(fellows, \" \" from \" \")) others = 1 }}\n    \
         END {{ exit others }}'\n\
         }}\n\
         wait_until 5 alone || echo 'some are connected in another way than through the proxies'\n\
         case $(echo 'CLIENT PAUSE {RESPITE}000 WRITE' | main) in 'OK '*) ;; \
         *) echo 'redis does not stop taking writes'; exit 1 ;; esac\n\
         position=$(redis_says master_repl_offset)\n\
         [ -n \"$position\" ] || {{ echo 'redis does not say how far it has written'; exit 1; }}\n\
         echo \"position $position\"\n",
        fellows = fellows.join(" "),
        settled = settled(),
        heard = f64::from(ASKED_EVERY + ASKED_AGAIN + UNDER_WAY) / 1000.0,
        go_on = quote(&go_on),
    ))
}

/// Nobody has to see to it any more.
fn settled() -> String {
    format!("systemctl stop {TIMER}.timer 2>/dev/null || :\n")
}

/// Writes are taken, and the proxies see again that its replicas are near.
fn open(context: &Context) -> String {
    format!(
        "printf '%s\\n' 'CONFIG SET min-replicas-max-lag {}' 'CLIENT UNPAUSE' | main >/dev/null\n",
        lag_seconds(context)
    )
}

fn reinstate(context: &Context) -> Shell {
    script(&format!("{}{}", settled(), open(context)))
}

fn catch_up(_context: &Context, position: &str) -> Shell {
    script(&format!(
        "has_all() {{ has=$(redis_says slave_repl_offset); [ -n \"$has\" ] && [ \"$has\" -ge {} ]; }}\n\
         wait_until 5 has_all || {{ echo 'this replica does not get what the leader has written'; exit 1; }}\n",
        quote(position)
    ))
}

fn take_over() -> Shell {
    script(&format!(
        "said=$(echo 'SENTINEL FAILOVER {MASTER}' | sentinel)\n\
         case $said in 'OK '*|*INPROG*) ;; *) echo \"Sentinel refuses: $said\"; exit 1 ;; esac\n\
         leads() {{ [ \"$(redis_says role)\" = master ]; }}\n\
         wait_until 15 leads || {{ echo 'the Sentinels did not make this host the master'; exit 1; }}\n\
         printf '%s\\n' 'CONFIG SET replica-priority {PRIORITY}' 'CONFIG REWRITE' | main >/dev/null\n",
    ))
}

/// The old leader is told at once; the Sentinels would take ten seconds more.
fn follow(context: &Context, leader: &Host) -> Shell {
    let leader = network::private(context.fleet, leader);
    script(&format!(
        "if [ \"$(redis_says role)\" = master ]; then\n\
         printf '%s\\n' 'REPLICAOF {leader} {port}' 'CLIENT KILL TYPE normal' 'CONFIG REWRITE' | main >/dev/null\n\
         fi\n\
         {settled}{open}\
         echo 'CONFIG SET replica-priority {PRIORITY}' | main >/dev/null\n\
         follows() {{\n  \
         [ \"$(redis_says master_host)/$(redis_says master_link_status)\" = {leader}/up ] \\\n    \
         && case $(echo 'SENTINEL GET-MASTER-ADDR-BY-NAME {MASTER}' | sentinel) in '{leader} '*) ;; *) false ;; esac\n\
         }}\n\
         wait_until 120 follows || {{ echo 'this host does not follow {leader}'; exit 1; }}\n",
        port = redis::PORT,
        settled = settled(),
        open = open(context),
    ))
}
