# Of a probe: how paths are looked at that lie below folders which others than root may change.

# marg_loose PATH: whether it lies in one of them; `$marg_others` has one on each line.
marg_loose() {
  [ -n "$marg_others" ] || return 1
  set -- "$1" "$IFS"
  IFS='
'; set -f
  for folder in $marg_others; do
    case $1 in "${folder%/}"/*) IFS=$2; set +f; return 0 ;; esac
  done
  IFS=$2; set +f
  return 1
}

# marg_apart FOLDER NAME…: what names in such a folder are; quoted, as they will be read once more.
# The folder is held open: one process looks at what lies in several of them.
marg_apart() {
  folder=$1; shift
  [ "$marg_open" -lt 8 ] || marg_apart_end
  enter "$folder" >/dev/null
  case $? in
    0) ;;
    2) for name; do eval "printf 'e %s/%s\\n' \"\$folder\" $name"; done
      return ;;
    *) return ;;
  esac
  marg_open=$((marg_open + 1))
  eval "exec $marg_open<."
  printf 'f /proc/self/fd/%s/ %s/\n' "$marg_open" "$folder"
  for name; do marg_names="$marg_names /proc/self/fd/$marg_open/$name"; done
}

# marg_apart_end: asks what is still to be asked. Where a link leads ends with a NUL: whoever made it
# may have written lines that look like answers.
marg_apart_end() {
  [ -z "$marg_names" ] || eval "find $marg_names -maxdepth 0 \
    -printf 's %m %u %g %y|%p\\n' -type l -printf 'L %p|%l\\0\\n'" 2>/dev/null || :
  while [ "$marg_open" -gt 2 ]; do
    eval "exec $marg_open<&-"
    marg_open=$((marg_open - 1))
  done
  marg_names=
  cd /
}

# marg_check: `sha256sum -c` of the lines on standard input, each file of a folder that others may
# change on its own, and only the beginning of what is far too large.
marg_check() {
  if [ -z "$marg_far$marg_huge" ]; then sha256sum -c 2>/dev/null; return; fi
  together=
  while IFS= read -r line; do
    path=${line#*  }
    if marg_loose "$path" || marg_is_huge "$path"; then
      marg_check_apart "${line%%  *}" "$path"
    else
      together="$together$line
"
    fi
  done
  [ -z "$together" ] || printf %s "$together" | sha256sum -c 2>/dev/null
}

marg_is_huge() { case "
$marg_huge
" in *"
h $1
"*) ;; *) return 1 ;; esac; }

# marg_check_apart SUM PATH
marg_check_apart() (
  above=${2%/*} name=${2##*/}
  if enter "${above:-/}" >/dev/null && [ ! -L "./$name" ] && [ -f "./$name" ] &&
    [ "$(peek "$name" | sha256sum)" = "$1  -" ]; then
    printf '%s: OK\n' "$2"
  else
    printf '%s: FAILED\n' "$2"
  fi
)

# marg_content PATH: what a small file holds, as a line for people's eyes.
marg_content() (
  above=${1%/*} name=${1##*/}
  enter "${above:-/}" >/dev/null || exit 0
  if marg_loose "$1" && [ -L "./$name" ]; then exit 0; fi
  [ -f "./$name" ] && [ "$(stat -Lc %s -- "./$name")" -lt 65536 ] || exit 0
  if marg_loose "$1"; then text=$(peek "$name" | base64 -w0); else text=$(base64 -w0 < "./$name"); fi
  printf 'content %s %s\n' "$text" "$1"
)

# marg_first PATH: the first line of a file in such a folder.
marg_first() (
  enter "${1%/*}" >/dev/null && [ -f "./${1##*/}" ] || exit 0
  peek "${1##*/}" | head -n 1
)
