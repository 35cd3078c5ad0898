# Takes away what is this machine's own, so that machines made from its image share nothing that
# must be theirs alone, and nothing that they need not have. Whoever runs it sets ROOT, which is
# empty but in tests.
: "${ROOT?}"

# Who it is: host keys, the keys that may log in, what cloud-init was told, random seeds.
rm -rf -- "$ROOT"/etc/ssh/ssh_host_* "$ROOT"/etc/ssh/marg_next_* \
  "$ROOT"/root/.ssh "$ROOT"/home/*/.ssh "$ROOT"/var/lib/cloud/* \
  "$ROOT"/var/lib/systemd/random-seed "$ROOT"/var/lib/systemd/credential.secret \
  "$ROOT"/var/lib/dhcp/*
# An empty file makes systemd choose a new id at the next boot.
: > "$ROOT/etc/machine-id"
[ -L "$ROOT/var/lib/dbus/machine-id" ] || rm -f -- "$ROOT/var/lib/dbus/machine-id"

# What was done here: marg's own notes, logs, histories. Files of logs stay, empty, with the
# owners that their programs expect.
rm -rf -- "$ROOT"/var/lib/marg "$ROOT"/root/.*history "$ROOT"/root/.cache \
  "$ROOT"/tmp/* "$ROOT"/var/tmp/* "$ROOT"/var/log/journal/*
find "$ROOT/var/log" -type f \( -name '*.gz' -o -name '*.[0-9]' \) -exec rm -f -- {} +
find "$ROOT/var/log" -type f -exec truncate -s 0 -- {} +

# What would only be paid for.
rm -rf -- "$ROOT"/var/lib/apt/lists/* "$ROOT"/var/cache/apt/archives/*.deb \
  "$ROOT"/var/cache/apt/*.bin

# Nothing of it may be in an image.
for left in "$ROOT"/etc/ssh/ssh_host_* "$ROOT"/root/.ssh/* "$ROOT"/home/*/.ssh/* \
  "$ROOT"/var/lib/cloud/* "$ROOT"/var/lib/marg "$ROOT"/var/www/*/shared/.env; do
  [ ! -e "$left" ] || { echo "$left is still there: this must not become an image"; exit 1; }
done
