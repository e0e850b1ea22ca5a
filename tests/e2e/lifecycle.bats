# Detached containers: start, look at, enter, end, remove; and what is left when moss itself is killed.

load helpers

# Starts the container $1 detached with the shell script $2.
start() { moss run -d --name "$1" --network none alpine sh -c "$2" >/dev/null; }
logs_have() { moss logs "$1" | grep -q "$2"; }
state_of() { moss inspect "$1" | jq -r '.[0].State.Status'; }
# A process that is there and no zombie.
lives() { [[ -d /proc/$1 ]] && ! grep -q '^State:.Z' "/proc/$1/status" 2>/dev/null; }
is_dead() { ! lives "$1"; }

# --- start and look ---

@test "-d prints the whole id and returns at once" {
  run moss run -d --network none alpine sleep 100
  assert_success
  [[ $output =~ ^[0-9a-f]{64}$ ]]
}

@test "ps shows what runs, ps -a also what has ended" {
  start alive "sleep 100"
  start dead "exit 3"
  moss wait dead >/dev/null
  run moss ps
  assert_success
  assert_has alive
  refute_has dead
  run moss ps --all
  assert_has alive
  assert_has dead
  assert_has "Exited (3)"
  run moss ps --all --format json
  [[ $(jq length <<<"$output") == 2 ]]
  run moss ps --all --quiet --filter status=exited
  ((${#lines[@]} == 1))
}

@test "inspect tells state, exit code and process" {
  start n "exit 5"
  moss wait n >/dev/null
  run moss inspect n
  assert_success
  [[ $(jq -r '.[0].State.Status, .[0].State.ExitCode' <<<"$output") == $'exited\n5' ]]
}

@test "a container is found by name, id and the id's beginning" {
  id=$(moss run -d --name n --network none alpine sleep 100)
  local name
  for name in n "$id" "${id:0:12}" "${id:0:4}"; do
    run moss exec "$name" echo ok
    assert_output ok
  done
}

# --- logs ---

@test "logs keep both streams and their order of lines" {
  start n 'echo one; echo two >&2; echo three'
  moss wait n >/dev/null
  moss logs n >out 2>err
  [[ $(cat out) == $'one\nthree' && $(cat err) == two ]]
}

@test "logs --tail gives the last lines, --timestamps their times" {
  start n 'seq 1 100'
  moss wait n >/dev/null
  run moss logs --tail 3 n
  assert_output $'98\n99\n100'
  run moss logs --tail 0 n
  assert_output ""
  run moss logs --tail 1 --timestamps n
  [[ $output =~ ^20[0-9]{2}-[0-9]{2}-[0-9]{2}T.*\ 100$ ]]
}

@test "logs -f follows to the end" {
  start n 'for i in 1 2 3; do echo $i; sleep 0.2; done'
  run timeout 60 "$MOSS" logs -f n
  assert_success
  assert_output $'1\n2\n3'
}

@test "a last line without its end is kept" {
  start n 'printf unfinished'
  moss wait n >/dev/null
  run moss logs n
  assert_output unfinished
}

# --- exec ---

@test "exec runs beside the command, in its namespaces" {
  start n "sleep 100"
  run moss exec n sh -c '(readlink /proc/self/ns/mnt; readlink /proc/1/ns/mnt) | sort -u | wc -l; hostname'
  assert_success
  [[ ${lines[0]} == 1 ]]
  [[ ${lines[1]} == "$(moss inspect n | jq -r '.[0].Id[:12]')" ]]
}

@test "exec has exit codes as run has" {
  start n "sleep 100"
  run moss exec n sh -c 'exit 42'
  assert_status 42
  run moss exec n sh -c 'kill -KILL $$'
  assert_status 137
  run -127 moss exec n no-such-command
  run moss exec n /etc/passwd
  assert_status 126
  refuses no-such-container exec no-such-container true
}

@test "exec takes user, folder and variables" {
  start n "sleep 100"
  run moss exec -u nobody -w /usr -e A=1 n sh -c 'echo $(id -u) $PWD $A'
  assert_success
  assert_output "65534 /usr 1"
  run moss exec -u 1 n id -u
  assert_output 1
  HOST_SECRET=leaked run moss exec n env
  refute_has leaked
}

@test "exec refuses a user that is none, and a folder by descriptor" { # CVE-2026-30892, CVE-2024-21626
  start n "sleep 100"
  local user n
  for user in 1: :1 +1 0x1 "1 " 4294967296 18446744073709551616; do
    run moss exec "--user=$user" n id -u
    assert_status 125
  done
  for n in 3 4 5 6 7 8; do
    run moss exec -w "/proc/self/fd/$n" n pwd
    ((status != 0)) || fail "$output"
  done
}

@test "exec passes stdin with -i and no descriptor of the caller's" {
  start n "sleep 100"
  [[ $(echo hello | moss exec -i n cat) == hello ]]
  exec 8</
  run moss exec n ls /proc/self/fd
  exec 8<&-
  refute_has 8
}

@test "exec in an ended container is refused" {
  start n true
  moss wait n >/dev/null
  refuses n exec n true
}

# --- end ---

@test "stop sends the stop signal and then kills" {
  start polite 'trap "exit 4" TERM; echo ready; while :; do sleep 0.05; done'
  wait_for 30 logs_have polite ready
  run moss stop polite
  assert_success
  run moss wait polite
  assert_output 4
  start deaf 'trap "" TERM; echo ready; while :; do sleep 0.05; done'
  wait_for 30 logs_have deaf ready
  run moss stop --time 1 deaf
  assert_success
  run moss wait deaf
  assert_output 137
}

@test "the image's stop signal is the one sent" {
  make_image stopping '{"StopSignal":"SIGUSR1"}'
  moss run -d --name n --network none stopping sh -c 'trap "exit 6" USR1; echo ready; while :; do sleep 0.05; done' >/dev/null
  wait_for 30 logs_have n ready
  moss stop n >/dev/null
  run moss wait n
  assert_output 6
}

@test "kill takes names and numbers of signals and refuses others" {
  start n 'trap "exit 8" USR1; trap "exit 9" USR2; echo ready; while :; do sleep 0.05; done'
  wait_for 30 logs_have n ready
  run moss kill --signal NOSUCH n
  assert_status 125
  run moss kill --signal 99 n
  assert_status 125
  run moss kill --signal usr1 n
  assert_success
  run moss wait n
  assert_output 8
}

@test "wait gives every exit code" {
  start a "exit 1"
  start b "exit 2"
  run moss wait a b
  assert_output $'1\n2'
}

@test "rm refuses a running container, --force ends it" {
  start n "sleep 100"
  run moss rm n
  assert_status 2 # as Podman
  assert_has "n is running"
  run moss rm --force --time 0 n
  assert_success
  assert_no_containers
  run moss rm n
  assert_status 1 # as Podman
}

@test "--rm removes a detached container at its end" {
  moss run -d --rm --name n --network none alpine true >/dev/null
  wait_for 30 eval '[[ -z $(moss ps --all --quiet) ]]'
}

@test "a name is free again after rm" {
  start n true
  moss wait n >/dev/null
  moss rm n >/dev/null
  start n true
}

# --- when moss dies ---

@test "the container dies with its killed foreground moss" {
  "$MOSS" run --rm --network none --pidfile pid alpine sleep 100 &
  local moss=$!
  wait_for 30 test -s pid
  kill -KILL "$moss"
  wait "$moss" || true
  wait_for 30 is_dead "$(cat pid)"
  wait_for 30 eval '[[ -z $(moss ps --all --quiet) ]]'
}

@test "the next ps sweeps a --rm container whose monitor was killed" {
  moss run -d --rm --name n --network none --pidfile pid alpine sleep 100 >/dev/null
  local monitor
  monitor=$(awk '/^PPid/ { print $2 }' "/proc/$(cat pid)/status")
  [[ $(readlink "/proc/$monitor/exe") == "$MOSS" ]]
  kill -KILL "$monitor"
  wait_for 30 is_dead "$(cat pid)"
  wait_for 30 eval '[[ -z $(moss ps --all --quiet) ]]'
}

@test "a container whose monitor was killed has ended, not vanished" {
  moss run -d --name n --network none --pidfile pid alpine sleep 100 >/dev/null
  kill -KILL "$(awk '/^PPid/ { print $2 }' "/proc/$(cat pid)/status")"
  wait_for 30 is_dead "$(cat pid)"
  run moss ps --all
  assert_has n
  [[ $(state_of n) != running ]]
  run moss rm n
  assert_success
}

@test "eight runs at once all succeed" {
  local i pids=()
  for i in 1 2 3 4 5 6 7 8; do
    "$MOSS" run --rm --network none alpine echo "$i" >"out.$i" &
    pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i"; done
  [[ $(cat out.*) == "$(seq 1 8)" ]]
  assert_no_containers
}

@test "of four that replace one name, the last one has it" {
  local i pids=()
  for i in 1 2 3 4; do
    "$MOSS" run -d --replace --name wanted --network none --stop-signal KILL alpine sleep 100 >/dev/null 2>>errors &
    pids+=($!)
  done
  # One may be replaced before it could tell its id; nobody may trip over another's half-made container.
  for i in "${pids[@]}"; do wait "$i" || true; done
  run cat errors
  refute_has "no container with name"
  run moss ps --all --quiet
  ((${#lines[@]} == 1))
}

@test "of eight that want one name, one gets it" {
  local i pids=() won=0
  for i in 1 2 3 4 5 6 7 8; do
    "$MOSS" run -d --name wanted --network none alpine sleep 100 >/dev/null 2>&1 &
    pids+=($!)
  done
  for i in "${pids[@]}"; do if wait "$i"; then won=$((won + 1)); fi; done
  ((won == 1))
  run moss ps --all --quiet
  ((${#lines[@]} == 1))
}
