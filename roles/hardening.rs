//! What units may do: what their work needs, and no more. A unit gets it when it next starts:
//! nothing is restarted for it.

use marg_resources::Resource;
use marg_resources::kinds::{Directory, File};

/// Denied to all of them.
const ALL: &[&str] = &[
    // sudo, and whatever else has more rights than who runs it.
    "NoNewPrivileges=true",
    "RestrictSUIDSGID=true",
    // /usr, /boot and /etc cannot be written; /home and /root are empty.
    "ProtectSystem=full",
    "ProtectHome=true",
    // Disks, memory, consoles; the kernel's settings, modules and log.
    "PrivateDevices=true",
    "ProtectKernelTunables=true",
    "ProtectKernelModules=true",
    "ProtectKernelLogs=true",
    "ProtectControlGroups=true",
    "ProtectHostname=true",
    // Namespaces of one's own, real-time scheduling, other machines' system calls.
    "RestrictNamespaces=true",
    "RestrictRealtime=true",
    "LockPersonality=true",
    "SystemCallArchitectures=native",
];

/// What one service needs beside that, as lines of a unit's `[Service]` section.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// Its master opens ports and logs, and its workers are other users' processes.
    Nginx,
    /// A master of an application's own, which is never root.
    PhpFpm,
    /// The database server; what it may not do beside this is said by the distribution's unit.
    MariaDb,
    /// Starts the applications' workers as their users.
    Supervisor,
    /// Locks itself into an empty folder.
    Haproxy,
    /// Only reads.
    NodeExporter,
}

impl Service {
    /// Lines of the `[Service]` section.
    pub fn lines(self) -> impl Iterator<Item = &'static str> {
        ALL.iter().chain(self.own()).copied()
    }

    fn own(self) -> &'static [&'static str] {
        match self {
            Service::Nginx => &[
                "PrivateTmp=true",
                "ProtectClock=true",
                "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
                "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_KILL CAP_NET_BIND_SERVICE CAP_SETGID CAP_SETUID",
            ],
            Service::PhpFpm => &[
                "PrivateTmp=true",
                "ProtectClock=true",
                // What an application writes is for itself, and for the group where a folder says so.
                "UMask=0027",
                // Names are looked up over netlink.
                "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
                "CapabilityBoundingSet=",
            ],
            Service::Supervisor => &[
                "PrivateTmp=true",
                "ProtectClock=true",
                "UMask=0027",
                "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
                "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL CAP_SETGID CAP_SETUID",
            ],
            Service::MariaDb => &[
                "ProtectClock=true",
                "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6",
            ],
            Service::Haproxy => &[
                "PrivateTmp=true",
                "ProtectClock=true",
                "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
                "CapabilityBoundingSet=CAP_CHOWN CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL CAP_NET_BIND_SERVICE CAP_SETGID CAP_SETUID CAP_SYS_CHROOT CAP_SYS_RESOURCE",
            ],
            // It reads how exact the clock is, which counts as setting it.
            Service::NodeExporter => &[
                "PrivateTmp=true",
                "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
                "CapabilityBoundingSet=",
            ],
        }
    }

    /// A drop-in of the unit, whose name is given without `.service`.
    pub fn drop_in(self, unit: &str) -> [Resource; 2] {
        let folder = format!("/etc/systemd/system/{unit}.service.d");
        let mut text =
            String::from("# Made by marg. Holds from the unit's next start on.\n[Service]\n");
        for line in self.lines() {
            text.push_str(line);
            text.push('\n');
        }
        let file = File::new(format!("{folder}/50-marg-denied.conf"), text);
        [Directory::new(folder).into(), file.into()]
    }
}
