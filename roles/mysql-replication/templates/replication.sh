#!/bin/sh
# Made by marg: who leads this group of database servers, who follows, and who may write.
#
# Every server starts read-only (its configuration says so). Who may write is decided at run
# time: by `lead`, which marg calls on the host that leads, and by `watch`, which lets a primary
# that has restarted write again when most of the group still follow it and nobody else writes.
set -eu
export LC_ALL=C
umask 077

UNIT={{ unit }}
OWN={{ own }}
PEERS='{{ peers }}'
MAX_LAG={{ max_lag }}
CREDENTIALS=/etc/mysql/marg-replication.cnf
# The same password as an SQL literal; never in an argument, always on standard input.
LITERAL=/etc/mysql/marg-replication.sql
# What `/primary` and `/replica` on port {{ port }} serve.
STATE=/run/marg-mysql
# A planned switch-over is under way: `watch` must not let this host write again.
RETIRED=/run/marg-mysql-retired
# A copy is not complete: what is here is worth nothing.
COPYING=/var/lib/marg/mysql-copying
# This host has led or followed before: its data is a past of the group's.
MEMBER=/var/lib/marg/mysql-member
LOOK=/run/marg-mysql-look.$$
trap 'rm -f "$LOOK" "$LOOK".*' EXIT
trap 'exit 143' TERM INT HUP

fail() { echo "$*" >&2; exit 1; }

{{ look }}
{% if mariadb %}
client() { mariadb --skip-ssl "$@"; }
sql() { timeout "${LIMIT:-60}" mariadb --skip-ssl --batch --skip-column-names; }
# One that is gone already is no mistake.
sql_force() { timeout 20 mariadb --skip-ssl --batch --force 2>/dev/null || :; }
look_here() { look mariadb --skip-ssl; }
look_at() { look mariadb "--defaults-file=$CREDENTIALS" --connect-timeout=1 -h "$1" -P 3306 --protocol=tcp; }
{% else %}
sql() { timeout "${LIMIT:-60}" mysql --ssl-mode=DISABLED --batch --skip-column-names; }
# One that is gone already is no mistake.
sql_force() { timeout 20 mysql --ssl-mode=DISABLED --batch --force 2>/dev/null || :; }
look_here() { look mysql --ssl-mode=DISABLED; }
look_at() { look mysql "--defaults-file=$CREDENTIALS" --connect-timeout=1 -h "$1" -P 3306 --protocol=tcp; }
{% endif %}

# take PREFIX: puts the lines of `look` into variables PREFIX_read_only, PREFIX_source, …
take() {
  for key in read_only executed semi_primary clients schemata source io sql lag auto received \
    io_errno io_error sql_errno sql_error; do eval "$1_$key="; done
  while read -r key value; do
    case $value in NULL) value= ;; esac
    eval "$1_$key=\$value"
  done
}

here() { answer=$(look_here) || return 1; take my <<MARG_LOOK
$answer
MARG_LOOK
}

at() { answer=$(look_at "$1") || return 1; take other <<MARG_LOOK
$answer
MARG_LOOK
}

# Whether whoever ran this over SSH is gone: then it ends, and lets go of the host.
left_alone() {
  [ -n "${MARG_SHELL:-}" ] || return 1
  read -r _ _ _ parent _ < "/proc/${MARG_SHELL% *}/stat" && [ "$parent" != "${MARG_SHELL#* }" ]
}

# until_true SECONDS COMMAND…
until_true() {
  end=$(($(date +%s) + $1)); shift
  until "$@"; do
    [ "$(date +%s)" -lt "$end" ] || return 1
    ! left_alone || fail 'nobody waits for this any more'
    sleep 0.2
  done
}

# --- Who may write ---------------------------------------------------------------------------

close() {
{% if mariadb %}
  echo 'SET GLOBAL read_only = ON; SET GLOBAL rpl_semi_sync_master_enabled = OFF;' | sql
{% else %}
  echo 'SET GLOBAL super_read_only = ON; SET GLOBAL rpl_semi_sync_source_enabled = OFF;' | sql
{% endif %}
}

# Ends the connections of applications.
hang_up() {
  sql <<'MARG_SQL' | sql_force
SELECT CONCAT('KILL ', ID, ';') FROM information_schema.PROCESSLIST WHERE USER NOT IN
  ('root', 'system user', 'event_scheduler', 'unauthenticated user', '{{ user }}');
MARG_SQL
}

open() {
{% if mariadb %}
  sql <<'MARG_SQL'
SET GLOBAL rpl_semi_sync_master_wait_point = 'AFTER_SYNC';
SET GLOBAL rpl_semi_sync_master_wait_no_slave = OFF;
SET GLOBAL rpl_semi_sync_master_timeout = {{ ack_millis }};
SET GLOBAL rpl_semi_sync_master_enabled = ON;
SET GLOBAL read_only = OFF;
MARG_SQL
{% else %}
  sql <<'MARG_SQL'
SET GLOBAL rpl_semi_sync_source_wait_point = 'AFTER_SYNC';
SET GLOBAL rpl_semi_sync_source_wait_no_replica = OFF;
SET GLOBAL rpl_semi_sync_source_timeout = {{ ack_millis }};
SET GLOBAL rpl_semi_sync_source_enabled = ON;
SET GLOBAL super_read_only = OFF;
SET GLOBAL read_only = OFF;
MARG_SQL
{% endif %}
}

# The account by which replicas follow, copy, and ask one another.
account() {
  literal=$(cat "$LITERAL")
  sql <<MARG_SQL
SET SESSION sql_mode = '';
CREATE USER IF NOT EXISTS '{{ user }}'@'{{ pattern }}';
ALTER USER '{{ user }}'@'{{ pattern }}' IDENTIFIED BY $literal REQUIRE SSL;
{% if mariadb %}
GRANT SELECT, SHOW VIEW, SHOW DATABASES, SHOW CREATE ROUTINE, TRIGGER, EVENT, RELOAD, LOCK TABLES, PROCESS,
  REPLICATION SLAVE, BINLOG MONITOR, SLAVE MONITOR ON *.* TO '{{ user }}'@'{{ pattern }}';
{% else %}
GRANT REPLICATION SLAVE, REPLICATION CLIENT, BACKUP_ADMIN ON *.* TO '{{ user }}'@'{{ pattern }}';
{% endif %}
MARG_SQL
}

lead() {
  here || fail "$UNIT does not answer"
  [ -z "$my_source" ] || fail "this host follows $my_source; \`marg promote\` makes it the primary"
  open
  account
  mkdir -p "${MEMBER%/*}"; : > "$MEMBER"
  rm -f "$RETIRED"
}

check_lead() {
  here && [ "$my_read_only" = 0 ] && [ -z "$my_source" ] && [ "$my_semi_primary" = 1 ] &&
    [ -e "$MEMBER" ] && [ ! -e "$RETIRED" ] && at "$OWN"
}

# --- Following -------------------------------------------------------------------------------

stop_hearing() {
{% if mariadb %}
  echo 'STOP SLAVE IO_THREAD;' | sql
{% else %}
  echo 'STOP REPLICA IO_THREAD;' | sql
{% endif %}
}

stop_following() {
{% if mariadb %}
  echo 'STOP SLAVE; RESET SLAVE ALL;' | sql
{% else %}
  echo 'STOP REPLICA; RESET REPLICA ALL;' | sql
{% endif %}
}

point_at() {
  literal=$(cat "$LITERAL")
{% if mariadb %}
  sql <<MARG_SQL
SET SESSION sql_mode = '';
STOP SLAVE;
SET GLOBAL slave_net_timeout = {{ net_timeout }};
SET GLOBAL rpl_semi_sync_slave_enabled = ON;
SET GLOBAL gtid_slave_pos = @@global.gtid_current_pos;
CHANGE MASTER TO MASTER_HOST = '$1', MASTER_PORT = 3306, MASTER_USER = '{{ user }}',
  MASTER_PASSWORD = $literal, MASTER_CONNECT_RETRY = 1, MASTER_SSL = 1,
  MASTER_SSL_VERIFY_SERVER_CERT = 0, MASTER_USE_GTID = slave_pos;
START SLAVE;
MARG_SQL
{% else %}
  sql <<MARG_SQL
SET SESSION sql_mode = '';
STOP REPLICA;
SET GLOBAL replica_net_timeout = {{ net_timeout }};
SET GLOBAL rpl_semi_sync_replica_enabled = ON;
CHANGE REPLICATION SOURCE TO SOURCE_HOST = '$1', SOURCE_PORT = 3306, SOURCE_USER = '{{ user }}',
  SOURCE_PASSWORD = $literal, SOURCE_CONNECT_RETRY = 1, SOURCE_RETRY_COUNT = 4294967295,
  SOURCE_SSL = 1, GET_SOURCE_PUBLIC_KEY = 1, SOURCE_AUTO_POSITION = 1;
START REPLICA;
MARG_SQL
{% endif %}
}

follows() {
  here && [ "$my_source" = "$1" ] && [ "$my_io" = Yes ] && [ "$my_sql" = Yes ] &&
    [ "$my_read_only" = 1 ] && case $my_auto in 1|Slave_Pos) ;; *) false ;; esac
}

check_follow() {
  follows "$1" && [ -e "$MEMBER" ] && [ ! -e "$COPYING" ] && [ ! -e "$RETIRED" ]
}

# What cannot be mended by following: the past differs, or the leader no longer has what is missing.
is_lost() {
  here || return 1
  [ "${my_io_errno:-0}" = 1236 ] || [ "${my_io_errno:-0}" = 13114 ] || [ "${my_sql_errno:-0}" != 0 ]
}

settled() { follows "$1" || is_lost; }

{% if not mariadb %}
# Whether this host has nothing that the leader lacks.
is_past_of() {
  here && mine=$my_executed && at "$1" || return 1
  [ "$(printf "SELECT GTID_SUBSET('%s', '%s');\n" "$mine" "$other_executed" | sql)" = 1 ]
}
{% endif %}

leads_there() { at "$1" && [ "$other_read_only" = 0 ]; }

wait_for_leader() {
  until_true 540 leads_there "$1" ||
    fail "$1 leads but cannot be written to over the private network with the replication account; see that it converges first"
}

follow() {
  leader=$1
  mkdir -p "${MEMBER%/*}"
  if systemctl -q is-active marg-mysql-copy; then follow_copy "$leader"; return; fi
  here || fail "$UNIT does not answer"
  close
  wait_for_leader "$leader"
  if [ -e "$MEMBER" ] && [ ! -e "$COPYING" ]{% if not mariadb %} && is_past_of "$leader"{% endif %}; then
    point_at "$leader"
    until_true 120 settled "$leader" || fail "replication from $leader does not start: $my_io_error $my_sql_error"
    if follows "$leader"; then rm -f "$RETIRED"; return 0; fi
    echo "this host cannot go on from where it is: $my_io_error $my_sql_error"
  fi
  if [ -e "$MEMBER" ]; then echo "its data, up to $my_executed, is replaced by a copy of $leader's"; fi
  systemctl reset-failed marg-mysql-copy 2>/dev/null || :
  # A unit of its own: a copy outlives a lost connection and a step's deadline.
  systemd-run -q --unit=marg-mysql-copy --property=Type=exec "$0" copy "$leader"
  follow_copy "$leader"
}

copy_ended() { ! systemctl -q is-active marg-mysql-copy; }

follow_copy() {
  until_true 570 copy_ended || fail 'the copy goes on; run the same command again to wait for it'
  if [ -e "$COPYING" ]; then
    journalctl -q -u marg-mysql-copy -n 20 -o cat || :
    fail "the copy of $1 failed"
  fi
  until_true 25 settled "$1" && follows "$1" || fail "replication from $1 does not start: $my_io_error $my_sql_error"
  rm -f "$RETIRED"
}

answers_here() { here; }

copy() {
  leader=$1
  : > "$COPYING"; sync "$COPYING"
  stop_following
{% if mariadb %}
  # Prepared aside and exchanged at once: whenever this is interrupted, a server can start.
  fresh=/var/lib/mysql.marg-new
  rm -rf "$fresh"
  mariadb-install-db --user=mysql --skip-test-db --datadir="$fresh" >/dev/null
  systemctl stop "$UNIT"
  mv --exchange -T "$fresh" /var/lib/mysql
  systemctl start "$UNIT"
  rm -rf "$fresh"
  until_true 60 answers_here || fail "$UNIT does not start"
  # One transaction on the leader; its writers do not wait. `gtid_slave_pos` is set by the copy.
  status=$COPYING.status
  { echo 'SET SESSION sql_log_bin = 0;'
    if mariadb-dump "--defaults-file=$CREDENTIALS" -h "$leader" -P 3306 --protocol=tcp \
      --all-databases --single-transaction --gtid --master-data=1 --routines --events --triggers \
      --hex-blob --ignore-table=mysql.gtid_slave_pos --ignore-table=mysql.transaction_registry \
      --ignore-table=mysql.innodb_index_stats --ignore-table=mysql.innodb_table_stats
    then echo done > "$status"; else echo failed > "$status"; fi
    echo 'FLUSH PRIVILEGES;'
  } | mariadb --skip-ssl
  read -r ended < "$status"; rm -f "$status"
  [ "$ended" = done ] || fail "the dump of $leader ended early"
{% else %}
  until_true 3600 clone_of "$leader" || fail "$leader was busy with other clones for an hour"
  case $(cat "$COPYING.said") in
    ''|*'ERROR 3707 '*|*'ERROR 2013 '*) rm -f "$COPYING.said" ;;
    *) cat "$COPYING.said" >&2; exit 1 ;;
  esac
  until_true 60 came_back || fail "$UNIT does not start"
  # Whatever ended the connection: only the copy brings what the leader has.
  is_past_of "$leader" && [ -n "$mine" ] || fail "the clone of $leader did not complete"
{% endif %}
  close
  point_at "$leader"
  : > "$MEMBER"
  rm -f "$COPYING"
}
{% if not mariadb %}

came_back() { systemctl start "$UNIT" 2>/dev/null; here; }

# One attempt: what the server said is left in a file. A donor serves one after the other, and says
# so (3634). The server replaces its data, and stops or restarts itself at the end.
clone_of() {
  literal=$(cat "$LITERAL")
  {
    echo "SET SESSION sql_mode = ''; SET GLOBAL super_read_only = OFF;"
    echo "SET GLOBAL clone_valid_donor_list = '$1:3306';"
    echo "CLONE INSTANCE FROM '{{ user }}'@'$1':3306 IDENTIFIED BY $literal REQUIRE SSL;"
  } | mysql --ssl-mode=DISABLED --batch 2> "$COPYING.said" || :
  ! grep -q 'Error: 3634 ' "$COPYING.said"
}
{% endif %}

# --- Switching over --------------------------------------------------------------------------

# The primary stops writing; prints what it has. The proxies hear it first and hold new connections
# back: what they heard before runs out like a lease, as many seconds after as two of their questions
# are apart. Then the connections that are left end: one that ends is tried again by its application,
# a refused write is not.
retire() {
  : > "$RETIRED"
  say no primary
  sleep {{ heard_seconds }}
  hang_up
  close || { rm -f "$RETIRED"; open; fail 'open transactions keep this host from closing; it goes on as before'; }
  hang_up
  here
  echo "position $my_executed"
}

# has POSITION SECONDS: waits until a position is executed here.
has() {
  position=$(printf %s "$1" | tr -cd '0-9A-Za-z_:,-')
{% if mariadb %}
  wait="SELECT MASTER_GTID_WAIT('$position', $2);"
{% else %}
  wait="SELECT WAIT_FOR_EXECUTED_GTID_SET('$position', $2);"
{% endif %}
  [ "$(echo "$wait" | LIMIT=$(($2 + 5)) sql)" = 0 ]
}

catch_up() { has "$1" 60 || fail "this host did not reach $1 within 60 s"; }

# Everything that was received, and no more.
drain() {
  here || fail "$UNIT does not answer"
  if [ -n "$my_source" ]; then
    [ -z "$my_received" ] || has "$my_received" 60 || fail "what was received could not be executed: $my_sql_error"
    # It may take as long as a connection attempt: here all hosts do it at once.
    stop_hearing
  fi
}

release() { drain; close; stop_following; }

take_over() {
  drain
  stop_following
  lead
  say yes primary
}

# The only one that is left: nothing is waited for.
alone() {
  here || fail "$UNIT does not answer"
  [ -z "$my_source" ] || fail "this host follows $my_source; \`marg promote\` it before the others go"
{% if mariadb %}
  echo 'SET GLOBAL rpl_semi_sync_master_enabled = OFF; SET GLOBAL read_only = OFF;' | sql
{% else %}
  echo 'SET GLOBAL rpl_semi_sync_source_enabled = OFF; SET GLOBAL super_read_only = OFF; SET GLOBAL read_only = OFF;' | sql
{% endif %}
  rm -f "$MEMBER" "$RETIRED"
}

# --- Watching --------------------------------------------------------------------------------

# What the others say: how many answer, follow this host, or stand against its writing. They are
# asked at once: those that are dead cost two seconds together.
ask_peers() {
  heard= near= followers=0 against= followed=
  for peer in $PEERS; do
    (LOOK=$LOOK.$peer
    if ! look_at "$peer" > "$LOOK.said"; then
      rm -f "$LOOK.said"
      # A machine that takes or refuses a connection is there, and so is the network. The client
      # does not tell that from silence.
      if grep -q 'ERROR 1' "$LOOK.err" || curl -v --max-time 1 "telnet://$peer:3306" 2>&1 </dev/null |
        grep -q -e 'Connection refused' -e 'Connected to'; then : > "$LOOK.near"; fi
    fi
    rm -f "$LOOK" "$LOOK.err") &
  done
  wait
  for peer in $PEERS; do
    if [ -e "$LOOK.$peer.near" ]; then near=yes; rm -f "$LOOK.$peer.near"; fi
    [ -e "$LOOK.$peer.said" ] || continue
    take other < "$LOOK.$peer.said"
    rm -f "$LOOK.$peer.said"
    heard="$heard $peer"
    if [ "$other_read_only" = 0 ]; then against="$peer writes"; fi
    case $other_source in
      '') ;;
      "$OWN") followers=$((followers + 1)) ;;
      *) followed="$followed $other_source" ;;
    esac
  done
  # Whom others follow stands against this host, unless it says itself that it does not write.
  for leader in $followed; do
    case " $heard " in *" $leader "*) ;; *) against="$leader is followed" ;; esac
  done
}

say() { case $1 in yes) (umask 022; : > "$STATE/$2") ;; *) rm -f "$STATE/$2" ;; esac; }

step_down() {
  say no primary
  echo "this host stops writing: $1"
  # Commits that wait for a replica would keep it from closing.
  hang_up
  close
  hang_up
}

is_followed() { [ $(((followers + 1) * 2)) -gt $((peers + 1)) ]; }

# That connections to replicas are open says nothing: they stay open when the network is gone. So the
# others are asked, every other second.
watch_primary() {
  say no replica
  if [ -e "$RETIRED" ]; then say no primary; return; fi
  turn=$((turn + 1))
  if [ "${my_clients:-0}" -gt 0 ] && [ $((turn % 2)) = 0 ]; then say yes primary; return; fi
  ask_peers
  # Whoever has most of the group behind it stays; so of two that write, one stays.
  if is_followed; then met=yes lonely=0; say yes primary; return; fi
  if [ -n "$against" ]; then step_down "$against"; return; fi
  # With one peer nobody can tell who is cut off; with two, whoever hears nobody is.
  if [ -z "$heard$near" ] && [ "$met" = yes ] && [ "$peers" -gt 1 ]; then
    lonely=$((lonely + 1))
    if [ "$lonely" -ge 2 ]; then step_down 'it hears none of the others'; return; fi
  else
    lonely=0
  fi
  say yes primary
}

# A primary that has restarted, or was alone: it goes on if most of the group follow it still.
resume() {
  [ -e "$MEMBER" ] && [ ! -e "$RETIRED" ] && [ ! -e "$COPYING" ] || return 0
  ask_peers
  if [ -z "$against" ] && is_followed; then
    echo 'this host writes again: most of the group follow it and nobody else writes'
    lead
    say yes primary
  fi
}

watch_replica() {
  say no primary
{% if not mariadb %}
  echo 'SET GLOBAL super_read_only = ON;' | sql
{% endif %}
  if [ "$my_io" = Yes ] && [ "$my_sql" = Yes ] && [ "${my_lag:-999999}" -le "$MAX_LAG" ] &&
    [ ! -e "$COPYING" ]; then say yes replica; else say no replica; fi
}

watch() {
  LIMIT=15 met=no lonely=0 peers=0 turn=0
  for peer in $PEERS; do peers=$((peers + 1)); done
  while :; do
    # A switch-over whose operator went away: what it began is over.
    if [ -e "$RETIRED" ]; then find "$RETIRED" -mmin +5 -delete; fi
    if ! here; then say no primary; say no replica
    elif [ "$my_read_only" = 0 ]; then watch_primary || :
    elif [ -n "$my_source" ]; then watch_replica || :
    else say no primary; say no replica; resume || :; fi
    sleep 1
  done
}

case $1 in
  lead) lead ;;
  check-lead) check_lead ;;
  follow) follow "$2" ;;
  check-follow) check_follow "$2" ;;
  copy) copy "$2" ;;
  retire) retire ;;
  catch-up) catch_up "$2" ;;
  drain) drain ;;
  release) release ;;
  take-over) take_over ;;
  alone) alone ;;
  watch) watch ;;
  *) fail "unknown: $1" ;;
esac
