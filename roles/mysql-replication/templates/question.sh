LOOK=$(mktemp)
trap 'rm -f "$LOOK" "$LOOK".*' EXIT
{{ look }}
if ! command -v {{ client }} >/dev/null; then echo 'server none'
elif ! systemctl -q is-active {{ unit }}; then echo 'server down'
elif look {{ client }}; then echo 'server up'
else echo 'server silent'; fi
