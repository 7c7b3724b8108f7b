stop() { echo "$0: $1" >&2; exit 2; }
command -v curl >/dev/null || stop "curl is missing; install it"
@PYCHECK@[ -n "${BOXLITE_URL:-}" ] && [ -n "${BOXLITE_API_KEY:-}" ] || stop "set BOXLITE_URL (without /v1) and BOXLITE_API_KEY"
@OTHERCHECK@
ROOT=${BOXLITE_URL%/}/v1${BOXLITE_PREFIX:+/${BOXLITE_PREFIX#/}}
export LC_ALL=C.UTF-8 ROOT
DIR=$(mktemp -d) || stop "mktemp failed; is there room in ${TMPDIR:-/tmp}?"
# Keys go to curl in files that nobody else may read: arguments show in lists of processes.
( umask 077
  printf 'header = "Authorization: Bearer %s"\n' "$BOXLITE_API_KEY" >"$DIR/auth."
  printf 'header = "Authorization: Bearer %s"\n' "${BOXLITE_OTHER_API_KEY:-}" >"$DIR/auth.other"
  printf 'header = "Authorization: Bearer chaos-not-a-key"\n' >"$DIR/auth.wrong"
  printf 'header = "Authorization: chaos-not-a-key"\n' >"$DIR/auth.malformed"
  : >"$DIR/auth.missing" )

# rest METHOD PATH BODY WHO: prints the body, and the status on a last line of its own; 000 is no answer.
rest() {
  if [ -n "$3" ]; then
    curl -s -m 60 -K "$DIR/auth.$4" -X "$1" -H 'Content-Type: application/json' --data-binary "$3" -w '\n%{http_code}' "$ROOT$2"
  elif [ "$1" = HEAD ]; then
    curl -s -m 60 -K "$DIR/auth.$4" -I -o /dev/null -w '\n%{http_code}' "$ROOT$2"
  else
    curl -s -m 60 -K "$DIR/auth.$4" -X "$1" -w '\n%{http_code}' "$ROOT$2"
  fi
}
# field NAME: a text or number of the JSON object on standard input.
field() { tr -d '\n' | sed -n 's/.*"'"$1"'" *: *"\{0,1\}\([^",}]*\).*/\1/p'; }
id() { [ -s "$R/$1" ] && cat "$R/$1"; }
good() { [ "$1" -ge 200 ] && [ "$1" -lt 300 ]; }
await() { until [ -e "$R/$1" ]; do sleep 0.002; done; }
# together GROUP CLIENT SIZE: waits until all of the group are here.
together() { : >"$R/group.$1.$2"; until [ "$(ls "$R" | grep -c "^group\.$1\.")" -ge "$3" ]; do sleep 0.002; done; }
# call N BIND FIELD METHOD PATH BODY WHO: sends one request and keeps status and body of the answer.
call() {
  local all status
  all=$(rest "$4" "$5" "${6//@RUN@/$RUN}" "$7"); status=${all##*$'\n'}
  printf '%s' "${all%$'\n'*}" >"$R/body.$1"; echo "$status" >"$R/status.$1"
  if [ -n "$2" ]; then
    if good "$status"; then field "$3" <"$R/body.$1" >"$R/.$2"; else : >"$R/.$2"; fi
    mv "$R/.$2" "$R/$2"
  fi
  good "$status"
}
# settle REF STATUS: looks until the box has it; prints what was seen last.
settle() {
  local all seen until=$((SECONDS + 9))
  while :; do
    all=$(rest GET "/boxes/$(id "$1" || echo chaosnosuch1)" "" ""); seen=
    [ "${all##*$'\n'}" = 200 ] && seen=$(printf '%s' "${all%$'\n'*}" | field status)
    { [ "$seen" = "$2" ] || [ -z "$seen" ] || [ $SECONDS -ge $until ]; } && break
    sleep 0.01
  done
  echo "$seen"
}
# delete REF: removes a box. It waits out changes that are under way.
delete() {
  local status until=$((SECONDS + 9))
  while :; do
    status=$(rest DELETE "/boxes/$(id "$1")?force=true" "" ""); status=${status##*$'\n'}
    case $status in 000|400|409|5??) [ $SECONDS -ge $until ] && return 1; sleep 0.02;; *) break;; esac
  done
  good "$status"
}
# clean removes the boxes of this run. Servers find a box by its name, too: after Ctrl-C nobody may know the id.
clean() {
  local b
  [ -n "${R:-}" ] || return
  for b in $BOXES; do
    [ -n "${1:-}" ] && [ ! -e "$R/$b" ] && echo "$RUN-${NAMES[$b]}" >"$R/$b"
    id "$b" >/dev/null && delete "$b"
  done
}
leave() { trap - EXIT INT TERM; kill $(jobs -p) 2>/dev/null; clean "${1:-}"; rm -rf "$DIR"; }
trap leave EXIT
trap 'leave interrupted; exit 130' INT TERM
wrong() { printf 'FAILED in run %d of at most %d: %s\npromised: %s\n' "$N" "$ROUNDS" "$1" "$PROMISE"; exit 1; }
box() { id "$1" || echo chaosnosuch1; }
ex() { id "$1" || echo 00000000-0000-4000-8000-000000000000; }
# session N BOX EXEC: an attach session in the helper of this client, if there is something to attach to.
session() {
  id "$3" >/dev/null || return
  echo "$1 $(id "$2") $(id "$3")" >&"${HELPER[1]}"
  read -r _ <&"${HELPER[0]}"
}
# Checks of single answers: N, what it answers, statuses.
body() { head -c 200 "$R/body.$1"; }
not_one_of() { case " $3 " in *" $(cat "$R/status.$1") "*) wrong "$2 was answered with $(cat "$R/status.$1"): $(body "$1")";; esac; }
one_of() { case " 000 $3 " in *" $(cat "$R/status.$1") "*) ;; *) wrong "$2 was answered with $(cat "$R/status.$1"): $(body "$1")";; esac; }
true_body() {
  local status said; status=$(cat "$R/status.$1"); said=$(field statusCode <"$R/body.$1")
  [ "$status" -ge 400 ] && [ "${said:-0}" != 0 ] && [ "$said" != "$status" ] && wrong "$2 was answered with $status and a body that says $said"
}
shows() {
  local seen; seen=$(field status <"$R/body.$1")
  [ "$(cat "$R/status.$1")" = 200 ] && [ "$seen" != "$3" ] && wrong "$2 shows $seen, not $3"
}
comes_to() {
  id "$1" >/dev/null || return
  local seen; seen=$(settle "$1" "$2")
  [ -n "$seen" ] && [ "$seen" != "$2" ] && wrong "$1 stays $seen, not $2"
}
apart() { id "$1" >/dev/null && id "$2" >/dev/null && [ "$(id "$1")" != "$(id "$2")" ] && wrong "$1 and $2 got one name"; }
gone() {
  id "$1" >/dev/null && delete "$1" || return
  local all; all=$(rest GET "/boxes/$(id "$1")" "" "")
  case " $2 " in *" ${all##*$'\n'} "*) wrong "get $1 was answered with ${all##*$'\n'} after its removal";; esac
}
sessions() {
  local seen; seen=$(python3 "$DIR/helper.py" verdict) || stop "python3 could not judge the sessions"
  [ -n "$seen" ] && wrong "$seen"
}
