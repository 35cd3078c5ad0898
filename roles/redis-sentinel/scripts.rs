//! What runs on a host of the role, and the questions that say whether it has to.

use marg_resources::kinds::Command;
use marg_resources::quote;

use super::{Fellows, MASTER, OWN_FILE, PASSWORD_FILE, SERVICE};
use crate::redis::{self, ask};

/// Seconds that a host waits for its fellows, which are provisioned at the same time.
const PATIENCE: u32 = 540;

/// The master waits until it is followed, a replica until it follows; only then does the master
/// insist on being followed.
pub fn take_part(fleet: &Fellows, lag_seconds: u64) -> Command {
    let replicas = fleet.replicas_to_write();
    let insist = format!(
        "printf '%s\\n' 'CONFIG SET min-replicas-max-lag {lag_seconds}' \\\n  \
         'CONFIG SET min-replicas-to-write {replicas}' | main >/dev/null\n\
         case $(echo 'CONFIG GET min-replicas-to-write' | main) in\n\
         *'min-replicas-to-write {replicas} '*) ;;\n\
         *) echo 'redis did not take min-replicas-to-write'; exit 1 ;;\nesac"
    );
    let join = match (fleet.leads, replicas) {
        (false, _) => follow(fleet),
        (true, 0) => String::new(),
        (true, _) => be_followed(),
    };
    // A host that leads needs no replica to be what it should be: it may just have lost one.
    let master = if fleet.leads {
        "*role:master"
    } else {
        "*role:master*connected_slaves:[1-9]"
    };
    let insists =
        format!("*'min-replicas-to-write {replicas} min-replicas-max-lag {lag_seconds} '*");
    // A replica whose master has just started again has its copy back in a moment.
    let done = format!(
        "{}tries=0\nwhile :; do\n\
         case $(printf '%s\\n' 'INFO replication' \
         'CONFIG GET min-replicas-to-write' 'CONFIG GET min-replicas-max-lag' | main) in\n\
         {master}{insists}) exit 0 ;;\n\
         *role:slave*master_link_status:up{insists}) exit 0 ;;\n\
         *role:slave{insists}) ;;\n\
         *) exit 1 ;;\nesac\n\
         tries=$((tries + 1)); [ $tries -lt 15 ] || exit 1\nsleep 0.2\ndone",
        ask::functions()
    );
    let name = if fleet.leads {
        "redis leads and is followed".to_owned()
    } else {
        "redis follows whoever leads".to_owned()
    };
    Command::new(name, format!("{}{join}{insist}", ask::functions()))
        .unless(done)
        .watch([format!("service {}", redis::MAIN_UNIT)])
}

/// Repeats a condition until it holds, or ends with what could not be had.
fn until(condition: &str, failure: &str) -> String {
    format!(
        "end=$(($(date +%s) + {PATIENCE}))\n\
         until {condition}; do\n  \
         if [ \"$(date +%s)\" -ge \"$end\" ]; then echo {}; exit 1; fi\n  \
         if left_alone; then echo 'nobody waits for this any more'; exit 1; fi\n  \
         sleep 0.5\ndone\n",
        quote(failure)
    )
}

fn be_followed() -> String {
    let followed = "{ case $(echo 'INFO replication' | main) in \
                    *role:slave*|*state=online*) ;; *) false ;; esac; }";
    until(
        followed,
        &format!(
            "no replica of redis joined this master within {PATIENCE} seconds, so it keeps taking \
             writes without one; see what the other hosts of redis say and run the same command again"
        ),
    )
}

/// Asks the host that led when this run looked whether it still does, and follows it. Whatever
/// Sentinel has settled meanwhile is left as it is.
fn follow(fleet: &Fellows) -> String {
    let (leader, address) = (&fleet.leader, quote(&fleet.address));
    let answers = until(
        &format!(
            "settled || {{ theirs=$(printf '%s\\n' 'INFO replication' DBSIZE | main -h {address}); \
             case $theirs in *role:*) ;; *) false ;; esac; }}"
        ),
        &format!(
            "redis on {leader} does not answer; bring it back, or wait until Sentinel has replaced \
             it, and run the same command again"
        ),
    );
    let linked = until(
        "settled",
        &format!(
            "this host did not get its copy of redis from {leader}; see \
             /var/log/redis/redis-server.log on both"
        ),
    );
    let moved = quote(&format!(
        "{leader} led redis when this run looked and does not now; run the same command again"
    ));
    let rival =
        quote("redis on this host is a master that others follow: it is not made a replica");
    let data = quote(&format!(
        "redis on this host has keys, which would be lost, and {leader}, which it would follow, has \
         none; look at both and flush the one that is not needed"
    ));
    format!(
        "settled() {{ case $(echo 'INFO replication' | main) in \
         *role:slave*master_link_status:up*|*role:master*connected_slaves:[1-9]*) ;; \
         *) false ;; esac; }}\n\
         keys() {{ set -- $1; while [ $# -gt 1 ]; do shift; done; echo \"$1\"; }}\n\
         {answers}\
         own=$(printf '%s\\n' 'INFO replication' DBSIZE | main)\n\
         if settled || case $own in *role:slave*master_host:{address}' '*) ;; *) false ;; esac; then\n\
         : it follows already\nelse\n\
         case $theirs in *role:master*) ;; *) echo {moved}; exit 1 ;; esac\n\
         case $own in *role:master*connected_slaves:[1-9]*) echo {rival}; exit 1 ;; esac\n\
         if [ \"$(keys \"$theirs\")\" = 0 ] && [ \"$(keys \"$own\")\" != 0 ]; then\n\
         echo {data}; exit 1\nfi\n\
         printf '%s\\n' 'REPLICAOF '{address}' {port}' 'CONFIG REWRITE' | main >/dev/null\n\
         fi\n{linked}",
        port = redis::PORT,
    )
}

/// Sentinel's file lies in a folder of redis's: what is done there is done as redis, so that no link
/// leads root elsewhere, and nothing holds it up.
const AS_REDIS: &str = "as_redis() {
  setpriv --reuid=redis --regid=redis --init-groups timeout 10 \"$@\"
}
";

/// Sentinel's file, if it does not exist; afterwards only the logins in it, if they differ. Sentinel
/// takes whoever refuses it for lost: so it changes its name only when all hosts know that.
pub fn own_file(text: &str, fleet: &Fellows) -> Command {
    let login = "sed -n 's/^user sentinel on \">\\(.*\\)\" &.*/sentinel auth-user marg sentinel\\n\
                 sentinel auth-pass marg \\1/p' /etc/redis/password.conf";
    let refused: String = fleet
        .fellows
        .iter()
        .map(|address| {
            let refused = format!(
                "! {{ case $({{ sed -n 's/^user sentinel on \">\\(.*\\)\" &.*/AUTH sentinel \\1/p' \
                 /etc/redis/password.conf; echo PING; }} \
                 | timeout 5 redis-cli -h {} -p {} 2>/dev/null) in \
                 *WRONGPASS*|*NOAUTH*) ;; *) false ;; esac; }}",
                quote(address),
                redis::PORT
            );
            until(
                &refused,
                &format!(
                    "redis on {address} does not know the Sentinels' login; see what that host says"
                ),
            )
        })
        .collect();
    let body = format!(
        "{AS_REDIS}{refused}was=$(systemctl is-active {SERVICE} || :)\n\
         [ \"$was\" != active ] || systemctl stop {SERVICE}\n\
         kept=$(as_redis sh -c '[ ! -f \"$1\" ] || exec head -c 1048576 \"$1\"' sh {OWN_FILE})\n\
         text=$(\n\
         if [ -n \"$kept\" ]; then\n\
         printf '%s\\n' \"$kept\" |\n\
         sed -e '/^requirepass /d' -e '/^user default /d' -e '/^sentinel auth-/d'\n\
         else\ncat <<'MARG_SENTINEL'\n{text}MARG_SENTINEL\nfi\n\
         cat {PASSWORD_FILE}\n{login}\n)\n\
         printf '%s\\n' \"$text\" | as_redis sh -c '\n\
         umask 077; rm -rf -- \"$1.marg-new\" && cat > \"$1.marg-new\" && mv -fT -- \"$1.marg-new\" \"$1\"\n\
         ' sh {OWN_FILE}\n\
         [ \"$was\" != active ] || systemctl start {SERVICE}"
    );
    let known = format!(
        "{AS_REDIS}{login} | grep '^sentinel auth-pass ' | as_redis grep -qxFf - {OWN_FILE} && \
         as_redis grep -qx 'sentinel auth-user marg sentinel' {OWN_FILE} && \
         as_redis grep -qxFf - {OWN_FILE} < {PASSWORD_FILE}"
    );
    Command::new("Sentinel has a file of its own", body).unless(known)
}

/// In place of the file where a password cannot be written.
pub fn refuse_password(name: &str) -> Command {
    let text = format!(
        "the secret {name} has characters that Sentinel cannot write into its file; choose one of \
         letters and digits, in secrets.toml of this environment"
    );
    Command::new(
        "Sentinel has a file of its own",
        format!("echo {}\nexit 1", quote(&text)),
    )
}

/// What Sentinel knows: the parameters, which are set where they differ, and the hosts. It keeps a
/// machine that was replaced for ever, and counts it when a majority is needed; whom no fellow
/// has for an address is forgotten, while the master is well.
pub fn knowledge(wanted: &[(&'static str, u64)], fleet: &Fellows) -> Command {
    let set: String = wanted
        .iter()
        .map(|(name, value)| format!("SENTINEL SET {MASTER} {name} {value}\n"))
        .collect();
    let functions = format!(
        "{}FELLOWS={}\n\
         look() {{ said=$(printf '%s\\n' 'SENTINEL MASTER {MASTER}' 'SENTINEL SENTINELS {MASTER}' \
         'SENTINEL REPLICAS {MASTER}' | sentinel \"$@\"); }}\n\
         strange() {{\n  key=\n  for word in $said; do\n    \
         [ \"$key\" != ip ] || case \" $FELLOWS \" in *\" $word \"*) ;; *) return 0 ;; esac\n    \
         key=$word\n  done\n  return 1\n}}\n\
         well() {{ case $said in *' flags master '*) ;; *) return 1 ;; esac; }}\n\
         knows() {{ case $said in *' num-slaves {others} num-other-sentinels {others} '*) ;; \
         *) return 1 ;; esac; }}\n",
        ask::functions(),
        quote(&fleet.fellows.join(" ")),
        others = fleet.count.saturating_sub(1),
    );
    // One after the other: it takes a Sentinel up to ten seconds to find the replicas again, and
    // those that know them can replace a master meanwhile.
    let turns: String = fleet
        .before
        .iter()
        .map(|address| {
            let settled = format!(
                "{{ look -h {}; well && knows && ! strange; }}",
                quote(address)
            );
            let failure = format!(
                "Sentinel on {address} still knows machines that are gone, or does not answer; see \
                 what that host says and run the same command again"
            );
            until(&settled, &failure)
        })
        .collect();
    let again = until(
        "{ look; knows; }",
        "Sentinel did not find its fellows again; see /var/log/redis/redis-sentinel.log",
    );
    let body = format!(
        "{functions}printf '%s' {set} | sentinel >/dev/null\nlook\n\
         if well && strange; then\n{turns}\
         echo 'SENTINEL RESET {MASTER}' | sentinel >/dev/null\n{again}fi",
        set = quote(&set),
    );
    let tests = wanted
        .iter()
        .map(|(name, value)| format!("case $said in *' {name} {value} '*) ;; *) exit 1 ;; esac\n"));
    let is_so = format!(
        "{functions}look\n{}! well || ! strange",
        tests.collect::<String>()
    );
    Command::new("what Sentinel knows", body).unless(is_so)
}

/// A master whose replicas are taken away insists on none.
pub fn insist_on_none() -> String {
    format!(
        "{}case $(echo 'INFO replication' | main) in *role:master*) ;; *)\n\
         echo 'redis on this host follows another one, which holds what is new; let this host lead first'\n\
         exit 1 ;;\nesac\n\
         echo 'CONFIG SET min-replicas-to-write 0' | main >/dev/null\n",
        ask::functions()
    )
}

/// The same, as long as a file is there that only replication needs.
pub fn stand_alone(mark: &str) -> Command {
    Command::new("redis leads and needs no replicas", insist_on_none())
        .unless(format!("[ ! -e {} ]", quote(mark)))
}
