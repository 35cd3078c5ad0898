# Root follows nobody's links. What lies below a folder that others may change can be a link to
# anywhere, and become one between a look and a deed. So the folder is entered and looked at from
# inside, and what is done in it is done to `./NAME`.

# enter FOLDER: goes there. Links on the way are followed where only root can have made them. Says
# why not, and ends with 1 where nothing is there, 2 where somebody's link leads elsewhere.
enter() {
  cd -P -- "$1" 2>/dev/null || { echo "$1 cannot be entered"; return 1; }
  [ "$PWD" = "$1" ] || led_by_root "$1" && return
  echo "$1 is in the way: a link that is not root's leads to $PWD; move it away and run again"
  cd /
  return 2
}

# led_by_root FOLDER: whether only root has led from there to here.
led_by_root() (
  left=$1/ at= links=0
  while [ -n "$left" ]; do
    name=${left%%/*} left=${left#*/}
    case $name in ''|.) continue ;; ..) at=${at%/*}; continue ;; esac
    if [ ! -L "$at/$name" ]; then at=$at/$name; continue; fi
    links=$((links + 1))
    [ "$links" -le 40 ] && only_root "$at/$name" || exit 1
    target=$(readlink -- "$at/$name") || exit 1
    left=$target/$left
    case $target in /*) at= ;; esac
  done
  [ "$PWD" = "${at:-/}" ]
)

# only_root PATH: whether nobody but root, or who runs this, can change it or a folder above it.
only_root() (
  above=$1
  set -- "$above" /
  while above=${above%/*}; [ -n "$above" ]; do set -- "$@" "$above"; done
  others=$(find "$@" -maxdepth 0 '(' ! -uid 0 ! -uid "$(id -u)" -o \
    -type d -perm /022 ! -perm -1000 ')' -print -quit) && [ -z "$others" ]
)

# peek NAME: the content of a file in this folder, up to 16 MiB. No link is followed, and nothing
# that is no file is waited for.
peek() { dd if="./$1" iflag=nofollow,nonblock bs=64K count=256 status=none 2>/dev/null; }
