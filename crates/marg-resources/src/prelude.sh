# Functions of marg's apply scripts. POSIX sh and the distribution's own tools.
export LC_ALL=C DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=l
umask 022
MARG=${MARG_STATE:-/var/lib/marg}
# In memory, because secrets pass through it, and because a machine whose root is an overlay
# cannot hold the whiteouts that `stage_absent` makes.
STAGE=${MARG_STATE:-/run/marg}/stage
OWED=$MARG/owed
install -d -m 0700 "$MARG" "$OWED" "${STAGE%/*}"
rm -rf "$STAGE"

# pass LINE: to the controller; once nobody listens that is only remembered.
pass() { printf '%s\n' "$1" 2>/dev/null || : > "$RUN/gone"; }

# tell WORDS: something that is true beside the output: `end`, `guard`. The truth is a file of
# root's with a word that did not exist before; the line in the output only says where it belongs.
tell() {
  read -r marg_nonce < /proc/sys/kernel/random/uuid
  echo "$marg_nonce $1" > "$RUN/told"
  echo "@told $marg_nonce"
}

# pump: passes a step's output on, each line behind a bar, so that no text is taken for anything
# else; until the step has told its end: what it left running may hold the pipe for ever.
pump() {
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in *'@told '*)
      if [ -s "$RUN/told" ] && read -r nonce word < "$RUN/told" &&
        [ "${line%"@told $nonce"}" != "$line" ]; then
        : > "$RUN/told"
        # What was printed last may have no newline of its own.
        line=${line%"@told $nonce"}
        [ -z "$line" ] || pass "|$line"
        if [ "$word" = end ]; then return; fi
        pass "@$word $MARK"
        continue
      fi ;;
    esac
    pass "|$line"
  done
}

# run_step NUMBER: runs step_NUMBER in a shell of its own; the first failure ends the script.
run_step() {
  if [ -e "$RUN/gone" ]; then pass "@step $MARK $1 abandoned"; exit 75; fi
  pass "@step $MARK $1 start"
  : > "$RUN/status"
  { ( "step_$1" ) </dev/null 2>&1; echo $? > "$RUN/status"; tell end; } | pump
  # Nothing is written there when something killed the step's shell.
  read -r status < "$RUN/status" || status=137
  pass "@step $MARK $1 end $status"
  if [ "$status" -ne 0 ]; then rm -rf "$STAGE"; exit 70; fi
}

# The last step: what systemd has to read, and nothing that was staged is left.
finish() { read_units; rm -rf "$STAGE"; }

# Whether nobody is there any more for whom this runs: over SSH that was the parent of this shell.
# What only waits for other hosts then ends, instead of keeping this one locked.
export MARG_SHELL="$$ $PPID"
left_alone() {
  read -r _ _ _ marg_parent _ < "/proc/${MARG_SHELL% *}/stat" && [ "$marg_parent" != "${MARG_SHELL#* }" ]
}

# owe UNIT ACTION: remembers, before a change, that UNIT must be reloaded or restarted.
owe() {
  : > "$OWED/$1.$2"
  sync "$OWED/$1.$2" "$OWED"
}

# paid UNIT: what UNIT owed has been done.
paid() { rm -f -- "$OWED/$1.reload" "$OWED/$1.restart"; }

# read_units: systemd reads unit files that were put in place, if it still owes that.
read_units() {
  [ -e "$OWED/units.reload" ] || return 0
  systemctl daemon-reload || return
  paid units
}

# settle UNIT: does what UNIT owes, if it owes anything.
settle() {
  read_units
  if [ -e "$OWED/$1.restart" ]; then
    systemctl restart "$1"
  elif [ -e "$OWED/$1.reload" ]; then
    systemctl reload-or-restart "$1"
  fi
  paid "$1"
}

# claim DATABASE NAME: NAME (of `passwd` or `group`) is marg's own or nobody's; a stranger's ends the
# step. What marg is about to make is written down before, so that the next run knows its own.
claim() {
  marg_record=$MARG/accounts/$1.$2
  marg_number=$(getent "$1" "$2" | cut -d: -f3)
  marg_made=
  [ ! -s "$marg_record" ] || read -r marg_made < "$marg_record"
  if [ -n "$marg_number" ] && { [ ! -e "$marg_record" ] || [ "${marg_made:-$marg_number}" != "$marg_number" ]; }; then
    echo "$2 exists in $1 (number $marg_number) and was not made by marg, which leaves it as it is" >&2
    return 1
  fi
  if [ -z "$marg_number" ]; then
    install -d -m 0700 "$MARG/accounts"
    : > "$marg_record"
    sync "$marg_record" "$MARG/accounts"
  fi
}

# claimed DATABASE NAME: it is marg's own, by its number.
claimed() {
  install -d -m 0700 "$MARG/accounts"
  getent "$1" "$2" | cut -d: -f3 > "$MARG/accounts/$1.$2"
}

# stage_file PATH MODE OWNER GROUP: the content, base64, on standard input.
stage_file() {
  mkdir -p -- "$STAGE${1%/*}"
  ( umask 077; base64 -d > "$STAGE$1" )
  chown -- "$3:$4" "$STAGE$1"
  chmod -- "$2" "$STAGE$1"
}

# stage_link PATH TARGET
stage_link() {
  mkdir -p -- "$STAGE${1%/*}"
  ln -sfnT -- "$2" "$STAGE$1"
}

# stage_absent PATH: a whiteout, so that a validator does not see the path.
stage_absent() {
  mkdir -p -- "$STAGE${1%/*}"
  mknod "$STAGE$1" c 0 0
}

# land PATH: moves what was staged to its place, by rename, with mode and owner already set. What
# systemd has to read is owed before. What is in the way of the new one beside the old is nobody's.
land() (
  above=${1%/*} name=./${1##*/}
  enter "${above:-/}" || exit
  rm -rf -- "$name.marg-new" && cp -pPT --remove-destination -- "$STAGE$1" "$name.marg-new" || exit
  [ -L "$name.marg-new" ] || sync "$name.marg-new" || exit
  case $1 in /etc/systemd/system/*) owe units reload || exit ;; esac
  mv -fT -- "$name.marg-new" "$name"
)

# remove PATH: takes a file or a link away, if it is there.
remove() (
  above=${1%/*}
  [ -d "${above:-/}" ] || exit 0
  enter "${above:-/}" && rm -f -- "./${1##*/}"
)

# own_folder PATH MODE OWNER:GROUP: a folder that is there, whatever is in it. What is in its way
# may be someone's data: it is never removed.
own_folder() (
  above=${1%/*} name=./${1##*/}
  make_folders "${above:-/}" || exit
  if [ ! -d "$name" ]; then
    if [ -e "$name" ] || [ -L "$name" ]; then
      echo "$1 is in the way and is no directory; move it away and run again"
      exit 1
    fi
    mkdir -m 0700 -- "$name" || exit
  fi
  # A number of five digits takes away what is not in it, the set-group-id of a folder too.
  enter "$1" && chown -- "$3" . && chmod -- "0$2" .
)

# make_folders FOLDER: goes there; what is missing of it is made.
make_folders() {
  if [ ! -d "$1" ]; then
    make_folders "$(above=${1%/*}; echo "${above:-/}")" && mkdir -- "./${1##*/}" || return
  fi
  enter "$1"
}

# block_write PATH BEGIN END yes|no: puts the lines on standard input (base64) between the marks,
# in place of the first such block or at the end; "no" only takes such blocks away.
block_write() (
  path=$1 links=0
  while [ -L "$path" ]; do
    links=$((links + 1))
    [ "$links" -le 40 ] && only_root "$path" || {
      echo "$path is in the way: it is a link that is not root's; move it away and run again"
      exit 1
    }
    target=$(readlink -- "$path") || exit
    case $target in /*) path=$target ;; *) path=${path%/*}/$target ;; esac
  done
  above=${path%/*} name=./${path##*/}
  enter "${above:-/}" || exit
  base64 -d > "$MARG/block" && mkdir -p -- "$STAGE$above" || exit
  old=$STAGE$path.old
  if [ -e "$name" ]; then
    ( umask 077; peek "${name#./}" > "$old" ) && [ "$(stat -c %s -- "$old")" -lt 16777216 ] || {
      echo "$path is in the way: it cannot be read as a text; move it away and run again"
      exit 1
    }
  else
    : > "$old"
  fi
  begin=$2 end=$3 keep=$4 block=$MARG/block awk '
    function put() {
      if (done++ || ENVIRON["keep"] != "yes") return
      print ENVIRON["begin"]
      while ((getline line < ENVIRON["block"]) > 0) print line
      print ENVIRON["end"]
    }
    $0 == ENVIRON["begin"] { put(); open = 1; next }
    $0 == ENVIRON["end"] && open { open = 0; next }
    !open { print }
    END { if (open) exit 4; put() }
  ' "$old" > "$STAGE$path" || exit
  if [ -e "$name" ]; then
    chown -- "$(stat -c %u:%g -- "$name")" "$STAGE$path" &&
      chmod -- "$(stat -c %a -- "$name")" "$STAGE$path" && chmod u-s,g-s -- "$STAGE$path" || exit
  fi
  rm -f -- "$MARG/block" "$old"
  land "$path"
)

# validate COMMAND: runs it in a mount namespace in which the staged files already stand in
# their places below /etc; the host itself still sees the old ones. Where overlays cannot be
# stacked any higher (a machine in a container), a copy of /etc serves.
validate() {
  [ -d "$STAGE/etc" ] || return 0
  chmod 0755 "$STAGE" "$STAGE/etc"
  STAGE=$STAGE unshare --mount sh -ec '
    if ! mount -t overlay marg-check -o "lowerdir=$STAGE/etc:/etc" /etc 2>/dev/null; then
      rm -rf "$STAGE.copy"
      cp -a /etc "$STAGE.copy"
      cd "$STAGE/etc"
      find . -type d -exec mkdir -p -- "$STAGE.copy/{}" \;
      find . -type c -exec rm -f -- "$STAGE.copy/{}" \;
      find . ! -type d ! -type c -exec cp -aT --remove-destination -- {} "$STAGE.copy/{}" \;
      mount --bind "$STAGE.copy" /etc
      cd /
    fi
    eval "$1"' validate "$1" || {
    status=$?
    rm -rf "$STAGE.copy"
    echo "refused by: $1"
    echo "nothing was put in place; the running service keeps its old configuration"
    return "$status"
  }
  rm -rf "$STAGE.copy"
}

# Where apt and dpkg show that they are at work.
APT_LOCKS='/var/lib/dpkg/lock-frontend /var/lib/dpkg/lock /var/lib/apt/lists/lock
  /var/cache/apt/archives/lock'

# apt_holder: path, process and name of whoever holds one of those; false when nobody does. Only
# the kernel knows, and only perl can ask it with what every Debian has.
apt_holder() {
  holder=$(perl -e 'use Fcntl; for (@ARGV) {
    open(my $file, "+<", $_) or next;
    my $lock = pack("s s x![q] q q i x![q]", F_WRLCK, 0, 0, 0, 0);
    fcntl($file, F_GETLK, $lock) or die "$_: $!\n";
    my ($type, $pid) = (unpack("s s x![q] q q i", $lock))[0, 4];
    if ($type != F_UNLCK) { print "$_ $pid\n"; exit }
  }' $APT_LOCKS) || return
  [ -n "$holder" ] || return
  name=
  read -r name 2>/dev/null < "/proc/${holder#* }/comm" || :
  echo "${holder% *} is held by process ${holder#* } (${name:-somebody})"
}

# apt_turn COMMAND…: runs apt or dpkg when nobody else does, and again when somebody was quicker.
apt_turn() {
  apt_until=$(($(date +%s) + ${APT_WAIT:-540})) apt_told=
  while :; do
    while apt_who=$(apt_holder); do
      [ "$apt_who" = "$apt_told" ] || echo "waiting: $apt_who"
      apt_told=$apt_who
      if [ "$(date +%s)" -ge "$apt_until" ]; then
        echo 'it did not end in time; run the same command again when it has'
        return 75
      fi
      sleep 1
    done
    apt_status=0
    "$@" 2>"$MARG/apt.errors" || apt_status=$?
    cat "$MARG/apt.errors"
    [ "$apt_status" -ne 0 ] || return 0
    grep -Eq 'Could not get lock|was locked by another process' "$MARG/apt.errors" || return "$apt_status"
    # It may have let go already, or hold what is not looked at.
    if [ "$(date +%s)" -ge "$apt_until" ]; then return "$apt_status"; fi
    sleep 1
  done
}

# apt_ready: a package manager that was interrupted is brought in order first.
apt_ready() {
  # While another one works, its packages look interrupted.
  apt_turn true || return
  if [ -n "$(dpkg --audit 2>/dev/null)" ]; then apt_turn dpkg --configure -a --force-confold; fi
}

# apt_install PACKAGE…: installed without starting their services: they start when configured.
apt_install() {
  apt_ready || return
  apt_policy_on
  if ! apt_try "$@"; then
    echo 'package lists may be old: updating them'
    apt_turn apt-get -q -o Acquire::Retries=3 update && apt_try "$@" || {
      status=$?; apt_policy_off; return "$status"; }
  fi
  apt_policy_off
}

apt_update() {
  apt_turn apt-get -q -o Acquire::Retries=3 -o APT::Update::Error-Mode=any update
}

apt_try() {
  apt_turn apt-get -qy -o Acquire::Retries=3 \
    -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold \
    -o Dpkg::Use-Pty=0 --no-install-recommends install "$@"
}

apt_remove() {
  apt_ready || return
  apt_turn apt-get -qy -o Dpkg::Use-Pty=0 remove "$@"
}

apt_policy_on() {
  [ -e /usr/sbin/policy-rc.d ] && return 0
  printf '#!/bin/sh\n# marg: services start when they are configured.\nexit 101\n' > /usr/sbin/policy-rc.d
  chmod 0755 /usr/sbin/policy-rc.d
}

# Removes our own policy and nobody else's.
apt_policy_off() {
  if grep -qs '^# marg:' /usr/sbin/policy-rc.d; then rm -f /usr/sbin/policy-rc.d; fi
}

# A change that could lock the operator out: guard_prepare, save what is needed in $RESCUE,
# guard_arm (commands that undo it on standard input), the change, guard_wait.
RESCUE=$MARG/rescue
RESCUE_SECONDS=${RESCUE_SECONDS:-60}

guard_prepare() {
  guard_disarm
  rm -rf "$RESCUE"
  install -d -m 0700 "$RESCUE"
}

guard_arm() {
  { echo "RESCUE=$RESCUE"; cat; } > "$RESCUE/restore.sh"
  GUARD_UNTIL=$(($(date +%s) + RESCUE_SECONDS))
  # The timer covers the death of this script; otherwise guard_wait decides well before it.
  systemd-run -q --unit=marg-rescue --on-active="$((RESCUE_SECONDS + 15))" \
    --timer-property=AccuracySec=1s sh "$RESCUE/restore.sh"
  # A change that fails halfway is undone at once.
  trap guard_undo EXIT
}

guard_disarm() {
  systemctl stop marg-rescue.timer 2>/dev/null || :
  systemctl reset-failed marg-rescue.service marg-rescue.timer 2>/dev/null || :
}

guard_undo() {
  trap - EXIT
  echo 'putting the old state back'
  sh "$RESCUE/restore.sh" || echo 'the old state could not be put back; use the console'
  guard_disarm
}

# guard_wait: the controller answers `guard` by opening a new connection and creating
# $RESCUE/confirmed through it.
guard_wait() {
  tell guard
  while [ "$(date +%s)" -lt "$GUARD_UNTIL" ]; do
    sleep 0.25
    if [ -e "$RESCUE/confirmed" ]; then trap - EXIT; guard_disarm; return 0; fi
  done
  echo 'no new connection succeeded'
  return 1
}
