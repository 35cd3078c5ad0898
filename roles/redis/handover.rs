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

/// Asks an instance; the password goes from its file to standard input.
const ASK: &str = "ask() { { sed -n 's/^requirepass /AUTH /p' \"$PASSWORDS\"; echo \"$2\"; } | redis-cli -p \"$1\"; }\n";

fn export(_context: &Context) -> String {
    format!(
        "PASSWORDS={PASSWORD_FILE}\n{ASK}\
         ask {PORT} SAVE | grep -qx OK || exit 1\n\
         cat /var/lib/redis/dump.rdb"
    )
}

/// A snapshot is not read where the log of changes is on. So a helper reads it, and the instance
/// becomes the helper's replica for a moment.
fn import(_context: &Context, path: &str) -> Shell {
    Shell::new(format!(
        "PASSWORDS={PASSWORD_FILE}\n{ASK}\
         folder=/var/lib/redis/handover\n\
         rm -rf \"$folder\"\n\
         install -d -o redis -g redis -m 0700 \"$folder\"\n\
         install -o redis -g redis -m 0600 {path} \"$folder/dump.rdb\"\n\
         runuser -u redis -- redis-server --port {HELPER_PORT} --bind 127.0.0.1 --dir \"$folder\" \
         --dbfilename dump.rdb --save '' --appendonly no --repl-diskless-sync-delay 0 --daemonize yes --pidfile \"$folder/pid\" \
         --logfile \"$folder/log\" --include \"$PASSWORDS\"\n\
         tries=240\n\
         until ask {HELPER_PORT} PING | grep -qx PONG; do\n\
         tries=$((tries - 1)); [ $tries -gt 0 ] || {{ tail -n 5 \"$folder/log\"; exit 1; }}\n\
         sleep 0.25\ndone\n\
         ask {PORT} 'REPLICAOF 127.0.0.1 {HELPER_PORT}' | grep -qx OK || {{ tail -n 5 \"$folder/log\"; exit 1; }}\n\
         tries=2400\n\
         until ask {PORT} 'INFO replication' | grep -q '^master_link_status:up'; do\n\
         tries=$((tries - 1)); [ $tries -gt 0 ] || {{ ask {PORT} 'INFO replication'; exit 1; }}\n\
         sleep 0.25\ndone\n\
         ask {PORT} 'REPLICAOF NO ONE' | grep -qx OK || exit 1\n\
         helper=$(cat \"$folder/pid\")\n\
         kill \"$helper\"\n\
         tries=240\n\
         while kill -0 \"$helper\" 2>/dev/null && [ $tries -gt 0 ]; do tries=$((tries - 1)); sleep 0.25; done\n\
         rm -rf \"$folder\"\n",
        path = quote(path)
    ))
}
