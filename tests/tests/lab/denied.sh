# What each unit's own process is denied. Each row is tried twice: in a unit without limits, where
# it must work, and in one with the lines of the unit's drop-in, where it must not.
# `denied UNIT [NAME]` prints what went wrong, and nothing when all is well; the drop-in lies under
# NAME.
rows="usr:touch /usr/marg-test
etc:touch /etc/marg-test
home:[ -e /root/.bashrc ]
devices:[ -e /dev/marg-test ]
settings:echo 1 > /proc/sys/net/ipv4/ip_nonlocal_bind
cgroups:mkdir /sys/fs/cgroup/marg-test
name:hostname \"\$(hostname)\"
namespaces:unshare --uts true
suid:touch /run/marg-suid && chmod 4755 /run/marg-suid
realtime:chrt -f 1 true
personality:setarch linux32 true
packets:perl -e 'use Socket; socket(my \$s, 17, SOCK_RAW, 0) or exit 1'
rights:grep -q '^NoNewPrivs:.*0' /proc/self/status
root:chroot / true"

# try PROPERTIES SCRIPT
try() {
  printf '%s\n' "$1" | (
    set -- "$2"
    while IFS= read -r line; do [ -z "$line" ] || set -- "$@" -p "$line"; done
    script=$1; shift
    systemd-run --quiet --wait --pipe --collect "$@" sh -c "$script" >/dev/null 2>&1
  )
}

denied() {
  file=/etc/systemd/system/${2:-$1}.service.d/50-marg-denied.conf
  lines=$(grep -v -e '^#' -e '^\[' "$file") || { echo "$1 has no $file"; return; }
  [ -e /dev/marg-test ] || mknod /dev/marg-test c 1 3
  printf '%s\n' "$rows" | while IFS=: read -r row script; do
    # MariaDB's rights are said by its own unit; haproxy locks itself in.
    case $row-$1 in root-mariadb | root-haproxy) continue ;; esac
    try '' "$script" </dev/null || echo "$1: $row is refused without limits, too"
    rmdir /sys/fs/cgroup/marg-test 2>/dev/null
    ! try "$lines" "$script" </dev/null || echo "$1: $row is allowed"
  done
  rm -f /dev/marg-test /usr/marg-test /etc/marg-test /run/marg-suid
  rmdir /sys/fs/cgroup/marg-test 2>/dev/null
  # The process itself runs with them.
  pid=$(systemctl show -p MainPID --value "$1")
  grep -q '^NoNewPrivs:.*1' "/proc/$pid/status" || echo "$1 itself runs without limits"
}
