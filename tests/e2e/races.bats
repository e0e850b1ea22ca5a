#!/usr/bin/env bats
# Several moss at once on the same containers: none is lost, nothing stays behind, nobody waits for ever, and who is
# refused is told why. First one at each call of another that changes something (interrupt.cc; by default at some of
# them, with MOSS_TEST_ALL=1 at all), then eight at random for $MOSS_STORM_S seconds (4; 60 with MOSS_TEST_ALL=1).

load helpers

interrupt=${MOSS%/*}/interrupt
points=5 storm_s=${MOSS_STORM_S:-4}
[[ -z ${MOSS_TEST_ALL-} ]] || points=10000 storm_s=${MOSS_STORM_S:-60}
# What the containers do: they end at once when they are stopped.
sleeper=(--network none --stop-signal KILL alpine sleep 100)

# What a command may say when another was quicker.
expected='no container with name or id|no container or image|is not running|is in use by container|is running; stop it first|is ending|keeps no log: it runs in the foreground|was killed before it ran its command'

running() { "$MOSS" run -d --name wanted "${sleeper[@]}" >/dev/null; }
ended() { "$MOSS" run --name wanted --network none alpine true; }
nothing() { :; }

# What others do meanwhile, a line each.
others() {
  local run="$MOSS run -d --name wanted ${sleeper[*]}"
  printf '%s\n' "$MOSS ps && $MOSS ps -a" \
    "$MOSS rm -f -t 0 wanted" \
    "$run" \
    "${run/--name/--replace --name}" \
    "$MOSS stop -t 0 wanted; $MOSS rm -f -a -t 0" \
    "$MOSS wait wanted & $MOSS logs -f wanted & sleep 0.1; $MOSS rm -f -t 0 wanted; wait" \
    "$MOSS kill wanted; $MOSS ps -a; $MOSS rm wanted" \
    "$MOSS exec wanted true; $MOSS inspect wanted >/dev/null; $MOSS system prune -f | grep -v ."
}

# Nothing but what is expected was said in file $1.
said_only_expected() {
  run grep -vE "$expected|^\$|^[0-9a-f]{64}\$|^[0-9]+\$|^wanted\$|^CONTAINER ID|^[0-9a-f]{12}  |did not stop within" "$1"
  ((status == 1)) || fail "$where said:" "$output"
}

all_removed() {
  moss rm -f -a -t 0 >/dev/null
  wait_for 10 nothing_left || fail "$where left:" "$(leftovers)"
  run moss ps -aq
  assert_output ""
}
nothing_left() { [[ -z $(leftovers) ]]; }

# About $points lines of file $1.
some_of() { awk -v lines="$(wc -l <"$1")" -v points="$points" 'NR * points % lines < points' "$1"; }

# meanwhile BEFORE ARG...: each of the others, at calls of "moss ARG..." before which BEFORE was done.
meanwhile() {
  local before=$1 role call number other n=0 met=0
  shift
  mapfile -t others < <(others)
  "$before" >/dev/null
  "$interrupt" list calls -- "$MOSS" "$@" >/dev/null 2>&1
  where=$* all_removed
  while read -r role call number; do
    other=${others[n++ % ${#others[@]}]}
    where="$* at $role $call $number, meanwhile $other"
    "$before" >/dev/null || fail "$where: before"
    rm -f met
    timeout -k 1 60 "$interrupt" meanwhile "$role" "$call" "$number" "exec >theirs 2>&1; touch met; $other" -- "$MOSS" "$@" \
      >ours 2>&1 || (($? != 124)) || fail "$where: hangs: $(<ours)"
    if [[ -e met ]]; then
      met=$((met + 1))
      said_only_expected theirs
    fi
    said_only_expected ours
    run moss ps -aq
    ((${#lines[@]} <= 1)) || fail "$where: both have the name" "$output"
    all_removed
  done < <(some_of calls)
  ((met > 1)) || fail "only $met calls to step in at: $(<calls)"
}

@test "while one is made" { meanwhile nothing run -d --name wanted "${sleeper[@]}"; }
@test "while one is made and ends" { meanwhile nothing run --rm --name wanted --network none alpine true; }
@test "while one is replaced" { meanwhile running run -d --replace --name wanted "${sleeper[@]}"; }
@test "while one is removed" { meanwhile ended rm wanted; }
@test "while one is stopped and removed" { meanwhile running rm -f -t 0 wanted; }
@test "while one is stopped" { meanwhile running stop -t 0 wanted; }
@test "while all are looked at" { meanwhile running ps -a; }

@test "a removal that is killed leaves the container whole or gone" {
  local role call number gone=0 whole=0
  ended >/dev/null
  "$interrupt" list calls -- "$MOSS" rm wanted >/dev/null 2>&1
  while read -r role call number; do
    where="rm at $role $call $number"
    "$MOSS" run --name wanted --network none alpine touch file >/dev/null || fail "$where: the name is not free"
    timeout -k 1 60 "$interrupt" kill "$role" "$call" "$number" -- "$MOSS" rm wanted >said 2>&1 && fail "$where: $(<said)"
    if [[ -n $(moss ps -aq) ]]; then
      whole=$((whole + 1))
      run moss diff wanted
      [[ $output == *"A /file"* ]] || fail "$where: not whole any more:" "$output"
      moss rm wanted >/dev/null
    else
      gone=$((gone + 1))
    fi
    nothing_left || fail "$where left:" "$(leftovers)"
    [[ -z $(ls "$XDG_DATA_HOME/moss/containers") ]] || fail "$where left:" "$(ls "$XDG_DATA_HOME/moss/containers")"
  done <calls
  ((whole > 1 && gone > 5)) || fail "$whole times whole, $gone times gone: $(<calls)"
}

# --- a storm ---

# One of eight: whatever comes to mind, on one of three names, until the time is over. Says what it was told that it should not
# have been, and whom it had to wait for too long.
storm_worker() {
  local end=$((SECONDS + storm_s)) name words status
  RANDOM=$((BASHPID % 30000 + $1))
  while ((SECONDS < end)); do
    name=n$((RANDOM % 3)) status=0
    case $((RANDOM % 14)) in
      0 | 1) words="run -d --name $name ${sleeper[*]}" ;;
      2) words="run -d --rm --name $name ${sleeper[*]}" ;;
      3) words="run -d --replace --name $name ${sleeper[*]}" ;;
      4) words="run --rm --network none alpine true" ;;
      5) words="run --name $name --network none alpine true" ;;
      6) words="rm $name" ;;
      7) words="rm -f -t 0 $name" ;;
      8) words="exec $name true" ;;
      9) words="stop -t 0 $name" ;;
      10) words="kill $name" ;;
      11) words="logs $name" ;;
      12) words="ps -a" ;;
      13) words="inspect $name" ;;
    esac
    # shellcheck disable=SC2086 # words are words
    timeout -k 1 60 "$MOSS" $words >"said.$1" 2>&1 || status=$?
    echo "$words" >>commands
    ((status != 124)) || echo "hangs: $words"
    ((status != 139 && status != 134)) || echo "crashes: $words"
    grep -a '^Error:' "said.$1" | grep -vE "$expected" | sed "s/^/$words: /"
  done
}

# Those who wait for an end are told of one.
storm_waiter() {
  local end=$((SECONDS + storm_s)) name words status
  while ((SECONDS < end)); do
    for name in n0 n1 n2; do
      for words in "wait $name" "logs -f $name"; do
        status=0
        # shellcheck disable=SC2086
        timeout -k 1 60 "$MOSS" $words >"said.$1" 2>&1 || status=$?
        echo "$words" >>commands
        ((status != 124)) || echo "hangs: $words"
        grep -a '^Error:' "said.$1" | grep -vE "$expected" | sed "s/^/$words: /"
      done
    done
  done
}

@test "a storm of eight on three names" {
  local i pids=()
  for i in 1 2 3 4 5 6 7; do
    storm_worker "$i" >"worker.$i" 3>&- &
    pids+=($!)
  done
  storm_waiter 8 >worker.8 3>&- &
  local waiter=$!
  wait "${pids[@]}"
  where="the storm" all_removed # which ends who is still waited for
  wait "$waiter"
  [[ -z $(cat worker.*) ]] || fail "$(cat worker.* | sort | uniq -c)"
  (($(wc -l <commands) > 30)) || fail "only $(wc -l <commands) commands in the storm"
}
