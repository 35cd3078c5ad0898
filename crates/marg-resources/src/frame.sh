# look SCRIPT: runs what only looks, then prints what it said. Each line begins with `./`, the name
# of the file that it was written to, and a colon, so no text can be taken for another part's or for
# the end. Such a file needs no reader either: what a look leaves running keeps nobody waiting.
# $OUT is a folder of root's for those files; a script writes `said` and may write others.
look() {
  ( eval "$1" ) </dev/null >"$OUT/said" 2>&1
  looked=$?
  ( cd "$OUT" && LC_ALL=C exec grep -aH '' ./* )
  # 1: nobody said anything.
  [ $? -le 1 ] || return 74
  return "$looked"
}
