//! The texts of the two units.

use super::Timer;

/// First line of both.
pub(super) const MARK: &str = "# Made by marg.";

impl Timer {
    /// `NAME.service`.
    pub(super) fn service(&self) -> String {
        let mut unit = format!(
            "{MARK}\n[Unit]\nDescription=marg: {}\n",
            plain(&self.name)
        );
        if let Some(path) = &self.requires {
            unit.push_str(&format!("ConditionPathExists={}\n", plain(path)));
        }
        unit.push_str(&format!(
            "\n[Service]\nType=oneshot\nUser={}\n",
            plain(&self.user)
        ));
        if let Some(path) = &self.directory {
            unit.push_str(&format!("WorkingDirectory={}\n", plain(path)));
        }
        unit.push_str(&format!(
            "ExecStart=/bin/sh -c {}\n",
            argument(&self.command)
        ));
        unit
    }

    /// `NAME.timer`.
    pub(super) fn timer(&self) -> String {
        format!(
            "{MARK}\n[Unit]\nDescription=marg: {}\n\n\
             [Timer]\nOnCalendar={}\nAccuracySec=1s\n\n\
             [Install]\nWantedBy=timers.target\n",
            plain(&self.name),
            plain(&self.calendar)
        )
    }
}

/// A value of a unit file: only `%` means something in it.
fn plain(value: &str) -> String {
    value.replace('\n', " ").replace('%', "%%")
}

/// One argument of a command in a unit file. systemd would expand `$` and `%` itself.
pub(super) fn argument(value: &str) -> String {
    let escaped = value
        .replace('\\', r"\\")
        .replace('"', "\\\"")
        .replace('%', "%%")
        .replace('$', "$$")
        .replace('\n', "\\n");
    format!("\"{escaped}\"")
}
