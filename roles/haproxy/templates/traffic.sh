# How a balancer takes a server out of its backends and puts it back, by haproxy's admin socket.
SOCKET=/run/haproxy/admin.sock
MASTER=/run/haproxy-master.sock

# tell COMMAND: what haproxy answers.
tell() { printf '%s\n' "$1" | socat -t10 - "UNIX-CONNECT:$SOCKET"; }

# lines: of what `show stat` answers, one for each server: BACKEND SERVER REQUESTS STATUS.
lines() { awk -F, '/^[^#]/ && NF > 18 { split($18, word, " "); print $1, $2, $3 + $5, word[1] }'; }

# look: $SERVERS becomes those lines.
look() {
  said=$(tell 'show stat -1 4 -1') || {
    echo "haproxy does not answer on $SOCKET; look at: systemctl status haproxy"
    exit 1
  }
  SERVERS=$(printf '%s\n' "$said" | lines)
}

# old_workers: those lines of processes that were there before a reload and still work on requests.
old_workers() {
  master() { printf '%s\n' "$1" | socat -t10 - "UNIX-CONNECT:$MASTER" 2>/dev/null; }
  for pid in $(master 'show proc' | awk '/^#/ { old = /old workers/; next } old && $2 == "worker" { print $1 }'); do
    # One that ends meanwhile has nothing to say.
    master "@!$pid show stat -1 4 -1" | lines
  done
}

# field BACKEND SERVER NUMBER: of that server's line.
field() { printf '%s\n' "$SERVERS" | awk -v b="$1" -v s="$2" -v n="$3" '$1 == b && $2 == s { print $n }'; }

# up BACKEND: whether the server gets requests there.
up() { [ "$(field "$1" "$HOST" 4)" = UP ]; }

# others BACKEND: how many other servers get requests there.
others() { printf '%s\n' "$SERVERS" | awk -v b="$1" -v s="$HOST" '$1 == b && $2 != s && $4 == "UP"' | wc -l; }

# spare APP: whether the application is served without the server.
spare() {
  [ "$(others "$1")" -gt 0 ] && return 0
  up "$1" && return 1
  # No server is ready. Then those serve that merely answer, and one of them must be left.
  [ "$(others "$1.any")" -gt 0 ] || ! up "$1.any"
}

# put STATE: the server, in both backends of each application that has it.
put() {
  for app in $APPS; do
    for backend in "$app" "$app.any"; do
      [ -n "$(field "$backend" "$HOST" 4)" ] || continue
      said=$(tell "set server $backend/$HOST state $1")
      [ -z "$said" ] || { echo "$backend: $said"; exit 1; }
    done
  done
  # A reload or a power cut does not forget it.
  /usr/local/sbin/marg-haproxy save
}

# until_true SECONDS CONDITION
until_true() {
  end=$(($(date +%s) + $1))
  until look && "$2"; do
    [ "$(date +%s)" -lt "$end" ] || return 1
    sleep 0.2
  done
}

# requests: how many the server still works on for the applications, for all of haproxy's processes.
requests() {
  { printf '%s\n' "$SERVERS"; old_workers; } | awk -v s="$HOST" -v apps="$APPS" '
    BEGIN { n = split(apps, names, " "); for (i = 1; i <= n; i++) { own[names[i]]; own[names[i] ".any"] } }
    ($1 in own) && $2 == s { sum += $3 }
    END { print sum + 0 }'
}
is_idle() { [ "$(requests)" -eq 0 ]; }
is_known() { for app in $APPS; do [ -n "$(field "$app" "$HOST" 4)" ] || return 1; done; }
is_up() { for app in $APPS; do up "$app" || return 1; done; }

drain() {
  look
  for app in $APPS; do
    [ -n "$(field "$app" "$HOST" 4)" ] || { echo "$app: $HOST is no server of this balancer"; continue; }
    if ! spare "$app"; then
      echo "$app: no other server could serve without $HOST; it stays in"
      exit "$LEFT_IN"
    fi
  done
  put drain
  if until_true "$SECONDS_TO_DRAIN" is_idle; then
    echo "$HOST has no requests any more"
    exit 0
  fi
  echo "$HOST gets no new requests and still works on $(requests) after $SECONDS_TO_DRAIN s"
  exit "$BUSY"
}

ready() {
  look
  is_known || {
    echo "this balancer does not know $HOST as a server of all of: $APPS; provision it first"
    exit 1
  }
  put ready
  if until_true "$SECONDS_TO_BE_UP" is_up; then
    echo "$HOST serves"
    exit 0
  fi
  for app in $APPS; do echo "$app: $HOST is $(field "$app" "$HOST" 4)"; done
  echo "$HOST is let in, but its health check did not succeed within $SECONDS_TO_BE_UP s"
  exit "$NOT_UP"
}

# taken_out: a line SERVER STATE for each server that somebody has taken out of a backend.
taken_out() {
  # Without a socket there is no haproxy yet.
  [ -S "$SOCKET" ] || exit 0
  look
  printf '%s\n' "$SERVERS" | awk '$4 == "DRAIN" || $4 == "MAINT" { print $2, tolower($4) }' | sort -u
}
