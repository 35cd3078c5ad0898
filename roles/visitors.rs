//! Visitors of a host that leaves.

use marg_resources::Shell;

/// Seconds that connections may take to end by themselves.
const PATIENCE: u32 = 60;

/// Waits until nobody is connected to the web ports. Those who stay longer without asking for
/// anything are told by nobody: their next request finds another host.
pub fn gone() -> Shell {
    Shell::new(format!(
        "tries={tries}\n\
         while [ -n \"$(ss -Htn state established '( sport = :80 or sport = :443 )')\" ]; do\n\
         tries=$((tries - 1))\n\
         if [ $tries -le 0 ]; then echo 'somebody is still connected'; break; fi\n\
         sleep 0.25\n\
         done\n",
        tries = PATIENCE * 4
    ))
}
