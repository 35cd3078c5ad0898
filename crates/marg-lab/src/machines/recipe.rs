//! What an image is made of. Pure: changing anything here makes a new image.

use sha2::{Digest, Sha256};

use super::network::{CACHE_PORT, OPERATOR};

/// An image that the lab can build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Slug by which droplets ask for it.
    pub slug: &'static str,
    /// Id in the API.
    pub id: u64,
    /// Debian's name of the release.
    pub suite: &'static str,
    /// Name that people read.
    pub title: &'static str,
    /// Further suites of the same archive.
    pub more_suites: &'static [&'static str],
    /// The suite of the security archive.
    pub security_suite: Option<&'static str>,
}

/// All images, the default one first.
pub(crate) const IMAGES: [Image; 2] = [
    Image {
        slug: "debian-13-x64",
        id: 190_000_013,
        suite: "trixie",
        title: "13 x64",
        more_suites: &["trixie-updates"],
        security_suite: Some("trixie-security"),
    },
    Image {
        slug: "debian-sid-x64",
        id: 190_000_014,
        suite: "sid",
        title: "sid x64",
        more_suites: &[],
        security_suite: None,
    },
];

/// The image of that slug.
pub(crate) fn image(slug: &str) -> Option<&'static Image> {
    IMAGES.iter().find(|image| image.slug == slug)
}

/// Packages of every image: what a droplet's image has that marg or its roles may rely on.
pub(crate) const PACKAGES: [&str; 23] = [
    "systemd",
    "systemd-sysv",
    "dbus",
    "openssh-server",
    "sudo",
    "iproute2",
    "iputils-ping",
    "nftables",
    "iptables",
    "ufw",
    "cloud-init",
    "netcat-openbsd",
    "python3-minimal",
    "ca-certificates",
    "curl",
    "procps",
    "less",
    "netbase",
    "kmod",
    "tzdata",
    "cron",
    "logrotate",
    "bash-completion",
];

/// Units that a machine of the lab does not need, or that would make its start slower or its
/// apt lock unpredictable.
pub(crate) const MASKED_UNITS: [&str; 12] = [
    "getty@tty1.service",
    "console-getty.service",
    "systemd-networkd.service",
    "systemd-networkd.socket",
    "systemd-networkd-wait-online.service",
    "systemd-pstore.service",
    "cloud-init-hotplugd.socket",
    "fstrim.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "systemd-firstboot.service",
    "ldconfig.service",
];

/// Timers that a role may enable again.
pub(crate) const DISABLED_TIMERS: [&str; 2] = ["apt-daily.timer", "apt-daily-upgrade.timer"];

/// A file that the image has beside its packages.
pub(crate) struct ImageFile {
    /// Path from the image's root.
    pub path: &'static str,
    /// Its content.
    pub content: String,
    /// Its permissions.
    pub mode: u32,
}

/// cloud-init as on a droplet: root logs in by key, user data is executed. Its slow modules
/// that a droplet's user data rarely needs are left out. Addresses are set from outside.
const CLOUD_CONFIG: &str = "\
datasource_list: [NoCloud]
network: {config: disabled}
users: []
disable_root: false
ssh_genkeytypes: [ed25519, ecdsa]
manage_etc_hosts: false
cloud_init_modules: [bootcmd, write_files, set_hostname, update_hostname, users_groups, ssh]
cloud_config_modules: [set_passwords, timezone, runcmd]
cloud_final_modules: [package_update_upgrade_install, write_files_deferred, scripts_per_once, \
scripts_per_boot, scripts_per_instance, scripts_user, final_message, power_state_change]
";

/// sshd waits for the host keys that cloud-init writes.
const SSH_ORDER: &str = "\
[Unit]
After=cloud-init-network.service cloud-init.service
";

const OWN_SETTINGS_UNIT: &str = "\
[Unit]
Description=Own copies of kernel settings that a machine shares with its host
DefaultDependencies=no
Before=systemd-sysctl.service sysinit.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/lib/lab/own-settings

[Install]
WantedBy=sysinit.target
";

/// A droplet may change these settings; machines of the lab share them with the host, where
/// nothing may change. So each machine gets copies that hold what it writes.
const OWN_SETTINGS: &str = "\
#!/bin/sh
set -e
mkdir -p /run/lab
for key in vm/overcommit_memory vm/swappiness vm/vfs_cache_pressure vm/max_map_count \
vm/dirty_ratio vm/dirty_background_ratio fs/file-max fs/inotify/max_user_watches \
fs/inotify/max_user_instances; do
    copy=/run/lab/$(echo \"$key\" | tr / .)
    cat \"/proc/sys/$key\" > \"$copy\"
    mount --bind \"$copy\" \"/proc/sys/$key\"
done
if test -e /usr/lib/lab/meminfo; then
    mount --bind -o ro /usr/lib/lab/meminfo /proc/meminfo
fi
";

/// All files that the image has beside its packages.
pub(crate) fn files(image: &Image, with_security: bool) -> Vec<ImageFile> {
    let file = |path, content: String, mode| ImageFile {
        path,
        content,
        mode,
    };
    let mut files = vec![
        file(
            "etc/apt/sources.list.d/debian.sources",
            sources(image, with_security),
            0o644,
        ),
        file("etc/apt/apt.conf.d/90lab", apt_conf(image), 0o644),
        file(
            "etc/cloud/cloud.cfg.d/90_lab.cfg",
            CLOUD_CONFIG.to_owned(),
            0o644,
        ),
        file(
            "etc/systemd/system/ssh.service.d/lab.conf",
            SSH_ORDER.to_owned(),
            0o644,
        ),
        file("usr/lib/lab/own-settings", OWN_SETTINGS.to_owned(), 0o755),
        file(
            "usr/lib/systemd/system/lab-own-settings.service",
            OWN_SETTINGS_UNIT.to_owned(),
            0o644,
        ),
        file(
            "etc/resolv.conf",
            "# The lab has no name server.\n".to_owned(),
            0o644,
        ),
        file("etc/hostname", "debian\n".to_owned(), 0o644),
        file(
            "etc/hosts",
            "127.0.0.1 localhost\n::1 localhost ip6-localhost\n".to_owned(),
            0o644,
        ),
        file("etc/fstab", String::new(), 0o644),
    ];
    // systemd takes an empty file for a machine that was never booted.
    files.push(file("etc/machine-id", String::new(), 0o444));
    files
}

/// Sources that lead to the apt cache alone; which mirror stands behind it is the host's
/// affair.
fn sources(image: &Image, with_security: bool) -> String {
    let cache = format!("http://{OPERATOR}:{CACHE_PORT}");
    let keyring = "/usr/share/keyrings/debian-archive-keyring.gpg";
    let mut suites = vec![image.suite];
    suites.extend(image.more_suites);
    let stanza = |path: &str, suites: &str| {
        format!(
            "Types: deb\nURIs: {cache}/{path}\nSuites: {suites}\nComponents: main\n\
             Signed-By: {keyring}\n"
        )
    };
    let mut text = stanza("debian", &suites.join(" "));
    if let Some(security) = image.security_suite.filter(|_| with_security) {
        text.push('\n');
        text.push_str(&stanza("debian-security", security));
    }
    text
}

fn apt_conf(image: &Image) -> String {
    let mut text = "Acquire::Languages \"none\";\n".to_owned();
    if image.security_suite.is_none() {
        // A mirror's copy of sid may be older than its Release file allows.
        text.push_str("Acquire::Check-Valid-Until \"false\";\n");
    }
    text
}

/// A short name for exactly this recipe: images of another recipe are not used.
pub(crate) fn fingerprint(image: &Image) -> String {
    let mut hash = Sha256::new();
    hash.update(format!(
        "{image:?}{PACKAGES:?}{MASKED_UNITS:?}{DISABLED_TIMERS:?}"
    ));
    for file in files(image, true) {
        hash.update(format!("{} {:o}\n{}", file.path, file.mode, file.content));
    }
    hash.finalize()
        .iter()
        .take(6)
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_lead_to_the_cache_and_nowhere_else() {
        for image in &IMAGES {
            for file in files(image, true) {
                let leads_out = file
                    .content
                    .lines()
                    .any(|line| line.contains("http") && !line.contains("http://198.18.0.1:3143/"));
                assert!(!leads_out, "{}: {}", image.slug, file.path);
            }
        }
    }

    #[test]
    fn each_image_has_its_own_fingerprint() {
        assert_ne!(fingerprint(&IMAGES[0]), fingerprint(&IMAGES[1]));
        assert_eq!(fingerprint(&IMAGES[0]).len(), 12);
    }
}
