//! Visitors of a host that leaves.

use marg_resources::{Shell, quote};

/// Tells a web server to answer what is under way, to say goodbye to whoever is connected, and to
/// end, which may take so many seconds. `signal` is its word for that. It is not started again; nobody
/// new arrives any more.
pub fn let_go(unit: &str, signal: &str, seconds: u64) -> Shell {
    Shell::new(format!(
        "folder=/run/systemd/system/{unit}.service.d\n\
         mkdir -p \"$folder\"\n\
         printf '[Service]\\nRestart=no\\n' > \"$folder/farewell.conf\"\n\
         systemctl daemon-reload\n\
         ! systemctl -q is-active {unit} || systemctl kill --kill-who=main -s {signal} {unit}\n\
         tries={tries}\n\
         while systemctl -q is-active {unit}; do\n\
         tries=$((tries - 1))\n\
         if [ $tries -le 0 ]; then echo 'somebody is still connected'; break; fi\n\
         sleep 0.25\n\
         done\n",
        unit = quote(unit),
        tries = seconds * 4
    ))
}
