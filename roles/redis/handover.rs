//! Sessions and queued jobs move from one Redis to another that has none of them.

use marg_resources::{Context, Handover, Shell, quote};

use super::{PASSWORD_FILE, PORT};

/// By way of a snapshot.
pub const HANDOVER: Handover = Handover {
    what: "sessions and queued jobs",
    export,
    import,
};

/// Port of the helper from which the new instance copies, on loopback.
const HELPER_PORT: u16 = 6399;

/// Asks an instance; the password goes from its file to standard input. What lies in the folder of redis is done as redis: a link of its there leads root nowhere.
const ASK: &str = "as_redis() { setpriv --reuid=redis --regid=redis --init-groups \"$@\"; }\nask() { { sed -n 's/^requirepass /AUTH /p' \"$PASSWORDS\"; echo \"$2\"; } | redis-cli -p \"$1\"; }\n";

fn export(_context: &Context) -> String {
    format!(
        "PASSWORDS={PASSWORD_FILE}\n{ASK}\
         ask {PORT} SAVE | grep -qx OK || exit 1\n\
         as_redis cat /var/lib/redis/dump.rdb"
    )
}

/// A snapshot is not read where the log of changes is on. So a helper reads it, and the instance
/// becomes the helper's replica for a moment.
fn import(_context: &Context, path: &str) -> Shell {
    Shell::new(format!(
        "PASSWORDS={PASSWORD_FILE}\n{ASK}\
         folder=/var/lib/redis/handover\n\
         as_redis rm -rf \"$folder\"\n\
         as_redis sh -c 'umask 077; mkdir -- \"$1\" && exec cat > \"$1/dump.rdb\"' sh \"$folder\" < {path}\n\
         as_redis redis-server --port {HELPER_PORT} --bind 127.0.0.1 --dir \"$folder\" \
         --dbfilename dump.rdb --save '' --appendonly no --repl-diskless-sync-delay 0 --daemonize yes --pidfile \"$folder/pid\" \
         --logfile \"$folder/log\" --include \"$PASSWORDS\"\n\
         tries=240\n\
         until ask {HELPER_PORT} PING | grep -qx PONG; do\n\
         tries=$((tries - 1)); [ $tries -gt 0 ] || {{ as_redis tail -n 5 \"$folder/log\"; exit 1; }}\n\
         sleep 0.25\ndone\n\
         ask {PORT} 'REPLICAOF 127.0.0.1 {HELPER_PORT}' | grep -qx OK || {{ as_redis tail -n 5 \"$folder/log\"; exit 1; }}\n\
         tries=2400\n\
         until ask {PORT} 'INFO replication' | grep -q '^master_link_status:up'; do\n\
         tries=$((tries - 1)); [ $tries -gt 0 ] || {{ ask {PORT} 'INFO replication'; exit 1; }}\n\
         sleep 0.25\ndone\n\
         ask {PORT} 'REPLICAOF NO ONE' | grep -qx OK || exit 1\n\
         helper=$(as_redis cat \"$folder/pid\")\n\
         as_redis sh -c 'kill \"$1\"' sh \"$helper\"\n\
         tries=240\n\
         while kill -0 \"$helper\" 2>/dev/null && [ $tries -gt 0 ]; do tries=$((tries - 1)); sleep 0.25; done\n\
         as_redis rm -rf \"$folder\"\n",
        path = quote(path)
    ))
}
