# What marg runs on a host for as long as it talks to it: one exec over one connection. It reads
# "look SIZE" or "apply SIZE" lines, each followed by a script of SIZE bytes, runs the script, and
# answers "@done MARK STATUS". MARK, WHO and LOCK are set by the line before this text.
umask 077
if [ "$LOCK" = yes ]; then
  exec 9>>/run/marg.lock
  if ! flock -n 9; then
    read -r holder < /run/marg.holder
    echo "@busy $holder"
    exit 72
  fi
  echo "$WHO" > /run/marg.holder
fi
# A lost connection must not end a step halfway: writing fails, the work goes on to its end.
trap '' HUP PIPE
RUN=/run/marg.$$
trap '[ ! -e "$RUN" ] || rm -rf "$RUN"' EXIT

# Passes output on; once nobody listens it only remembers that.
pump() {
  while IFS= read -r line || [ -n "$line" ]; do
    printf '%s\n' "$line" 2>/dev/null || : > "$RUN/gone"
  done
}

echo "@ready $MARK"
while read -r verb size; do
  script=$(head -c "$size"; echo x)
  script=${script%x}
  case $verb in
    look) ( eval "$script" ) </dev/null; status=$? ;;
    apply)
      mkdir -p "$RUN"
      { ( eval "$script" ) </dev/null 2>&1; echo $? > "$RUN/status"; } | pump
      read -r status < "$RUN/status" ;;
    *) status=64 ;;
  esac
  script=
  echo "@done $MARK $status" 2>/dev/null || break
done
