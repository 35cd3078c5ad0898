//! Sessions and queued jobs move from one Redis to another that has none of them.

use marg_resources::{Context, Handover, Shell, quote};

use super::{PASSWORD_FILE, ask};

/// By way of a snapshot.
pub const HANDOVER: Handover = Handover {
    what: "sessions and queued jobs",
    export,
    import,
};

/// Port of the helper from which the new instance copies, on loopback.
const HELPER_PORT: u16 = 6399;

/// What lies in the folder of redis is done as redis: a link of its there leads root nowhere.
const AS_REDIS: &str = "as_redis() { setpriv --reuid=redis --regid=redis --init-groups \"$@\"; }\n";

fn export(_context: &Context) -> String {
    format!(
        "{}{AS_REDIS}ASK_SECONDS=900\n[ \"$(echo SAVE | main)\" = 'OK ' ] || exit 1\n\
         as_redis cat /var/lib/redis/dump.rdb",
        ask::functions()
    )
}

/// A snapshot is not read where the log of changes is on. So a helper reads it, and the instance
/// becomes the helper's replica for a moment.
fn import(_context: &Context, path: &str) -> Shell {
    Shell::new(format!(
        "{functions}{AS_REDIS}helper() {{ ask {PASSWORD_FILE} {HELPER_PORT}; }}\n\
         folder=/var/lib/redis/handover\n\
         as_redis rm -rf \"$folder\"\n\
         as_redis sh -c 'umask 077; mkdir -- \"$1\" && exec cat > \"$1/dump.rdb\"' sh \"$folder\" < {path}\n\
         as_redis redis-server --port {HELPER_PORT} --bind 127.0.0.1 --dir \"$folder\" \
         --dbfilename dump.rdb --save '' --appendonly no --repl-diskless-sync-delay 0 --daemonize yes --pidfile \"$folder/pid\" \
         --logfile \"$folder/log\" --include {PASSWORD_FILE}\n\
         tries=240\n\
         until [ \"$(echo PING | helper)\" = 'PONG ' ]; do\n\
         tries=$((tries - 1)); [ $tries -gt 0 ] || {{ as_redis tail -n 5 \"$folder/log\"; exit 1; }}\n\
         sleep 0.25\ndone\n\
         case $(echo 'REPLICAOF 127.0.0.1 {HELPER_PORT}' | main) in OK*) ;; *) false ;; esac || {{ as_redis tail -n 5 \"$folder/log\"; exit 1; }}\n\
         tries=2400\n\
         until case $(echo 'INFO replication' | main) in *master_link_status:up*) ;; *) false ;; esac; do\n\
         tries=$((tries - 1)); [ $tries -gt 0 ] || {{ echo 'INFO replication' | main; exit 1; }}\n\
         sleep 0.25\ndone\n\
         case $(echo 'REPLICAOF NO ONE' | main) in OK*) ;; *) exit 1 ;; esac\n\
         helper=$(as_redis cat \"$folder/pid\")\n\
         as_redis sh -c 'kill \"$1\"' sh \"$helper\"\n\
         tries=240\n\
         while kill -0 \"$helper\" 2>/dev/null && [ $tries -gt 0 ]; do tries=$((tries - 1)); sleep 0.25; done\n\
         as_redis rm -rf \"$folder\"\n",
        functions = ask::functions(),
        path = quote(path)
    ))
}
