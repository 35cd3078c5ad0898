# What marg runs on a host for as long as it talks to it: one exec over one connection. It reads a
# word of its own, the mark, and then "look SIZE" or "apply SIZE" lines, each followed by a script of
# SIZE bytes, runs the script, and answers "@done MARK STATUS". WHO and LOCK are set by the line
# before this text; the mark is not, because everybody on the host may read an argument.
umask 077
read -r MARK
if [ "$LOCK" = yes ]; then
  exec 9>>/run/marg.lock
  if ! flock -n 9; then
    read -r holder < /run/marg.holder
    echo "@busy $MARK $holder"
    exit 72
  fi
  echo "$WHO" > /run/marg.holder
fi
# A lost connection must not end a step halfway: writing fails, the work goes on to its end.
trap '' HUP PIPE

# This shell holds the lock and starts nothing more. What runs is started by one that has not got
# it: a process that stays behind cannot keep it. Nor can it write where answers are written: what
# a look says goes to files, and what a step says through a pipe (frame.sh, prelude.sh).
(
  RUN=/run/marg.$$
  OUT=$RUN/out
  trap 'rm -rf "$RUN"' EXIT
  echo "@ready $MARK"
  # The script is on its way meanwhile. What a killed shell of the same number left says nothing here.
  mkdir "$RUN" "$OUT" 2>/dev/null || { rm -rf "$RUN"; mkdir "$RUN" "$OUT"; }
  while read -r verb size; do
    script=$(head -c "$size"; echo x)
    script=${script%x}
    case $verb in
      look) look "$script"; status=$? ;;
      apply) ( eval "$script" ) </dev/null; status=$? ;;
      *) status=64 ;;
    esac
    script=
    echo "@done $MARK $status" 2>/dev/null || break
    rm -f "$OUT"/*
  done
) 9>&-
# Not the last command: a shell runs that in its own place, which would let go of the lock.
exit $?
