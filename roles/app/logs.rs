//! Logs of applications: none grows for ever. Each application's own user turns them over, since the
//! folder is the application's: root opens nothing there.

use marg_model::App;
use marg_resources::kinds::{Strays, Timer};
use marg_resources::{Context, quote};

/// Copied and emptied, because workers keep their file open. Files with a date in their name are
/// Laravel's daily ones, which it removes itself.
const SETTINGS: &str = "{
  daily
  maxsize 100M
  rotate 14
  maxage 60
  copytruncate
  compress
  missingok
  notifempty
}";

/// Turns an application's logs over, each day or when they have grown large.
pub fn timer(app: &App) -> Timer {
    let logs = format!("{}/shared/storage/logs/*[!0-9].log", app.root());
    let settings = format!("{logs} {SETTINGS}\n");
    let home = quote(&format!("{}/home", app.root()));
    // logrotate does not read settings that others may write, nor from standard input.
    let command = format!(
        "umask 027; cd {home} && printf %s {} > .logrotate.conf && \
         exec /usr/sbin/logrotate --state .logrotate.state .logrotate.conf",
        quote(&settings)
    );
    Timer::new(format!("{}-logs", app.slug()))
        .calendar("*-*-* *:17:00")
        .command(command)
        .user(app.slug())
}

/// Timers of applications that have left the inventory.
pub fn gone(context: &Context) -> Strays {
    let folder = "/etc/systemd/system";
    Strays::new(folder, "-logs.timer", Timer::MARK, super::slugs(context))
        .stop(format!(
            "systemctl -q disable --now \"$name-logs.timer\"\n\
             rm -f -- \"{folder}/$name-logs.service\""
        ))
        .forget("systemctl daemon-reload")
}
