//! What nginx may read of the applications: as a member of their groups, which have nobody else.

use marg_model::App;
use marg_resources::kinds::Command;
use marg_resources::quote;

/// As whom nginx's workers run.
const USER: &str = "www-data";

/// nginx is a member of the application's group. A process keeps the groups that it began with:
/// where nginx runs already, this ends when every worker that still takes requests has the new
/// one. Those that finish what they began are as they were.
pub fn joins(app: &App) -> Command {
    let group = quote(&app.slug());
    let run = format!(
        "usermod -aG {group} {USER}\n\
         if systemctl -q is-active nginx; then\n\
         systemctl reload nginx\n\
         number=$(getent group {group} | cut -d : -f 3)\n\
         tries=240\n\
         while :; do\n\
         late=\n\
         for pid in $(pgrep -u {USER} -f '^nginx: worker process$'); do\n\
         grep -qsE \"^Groups:.*[[:space:]]$number([[:space:]]|\\$)\" \"/proc/$pid/status\" || [ ! -e \"/proc/$pid\" ] || late=$pid\n\
         done\n\
         [ -n \"$late\" ] || break\n\
         tries=$((tries - 1))\n\
         if [ $tries -le 0 ]; then echo \"nginx's process $late still runs without the group\"; exit 1; fi\n\
         sleep 0.25\n\
         done\nfi\n",
    );
    Command::new(format!("nginx reads what {} publishes", app.name), run).unless(is_member(app))
}

/// Words of the shell alone: a probe starts nothing for it.
fn is_member(app: &App) -> String {
    format!(
        "while IFS=: read -r name _ _ members; do\n\
         [ \"$name\" = {group} ] || continue\n\
         case ,$members, in *,{USER},*) exit 0 ;; esac\n\
         done < /etc/group\nexit 1",
        group = quote(&app.slug()),
    )
}
