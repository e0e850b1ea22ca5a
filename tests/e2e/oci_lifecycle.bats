#!/usr/bin/env bats
# The OCI runtime's verbs over a container's life: create, start, state, kill, delete, run.

load oci_helpers

@test "a container is created, waits, is started, ends and is deleted" {
  bundle b sh -c 'echo started >/out; exec sleep 100'
  oci create --bundle b --pid-file pid c </dev/null
  has_status c created
  [[ ! -e b/rootfs/out ]]
  [[ $(cat pid) == "$(pid_of c)" ]]
  [[ $(stat -c %s pid) == "$(printf %s "$(cat pid)" | wc -c)" ]] # no newline: clients take it literally
  oci start c
  has_status c running
  wait_for 5 test -e b/rootfs/out
  run oci delete c
  assert_status 1
  assert_has "is not stopped"
  oci kill c KILL
  wait_for 5 has_status c stopped
  [[ $(pid_of c) == 0 ]]
  oci delete c
  run oci state c
  assert_status 1
  assert_has "does not exist"
}

@test "state says what the spec requires, and nothing on stderr" {
  EDIT='.annotations = {"a.b": "c\nd"}' bundle b sleep 100
  oci create -b b c 2>create.err </dev/null
  [[ ! -s create.err ]]
  oci state c >state.json 2>state.err
  [[ ! -s state.err ]]
  run jq -r '[.ociVersion, .id, .status, .bundle, .annotations["a.b"]] | @json' state.json
  assert_output "[\"1.3.0\",\"c\",\"created\",\"$PWD/b\",\"c\\nd\"]"
  kill -0 "$(jq .pid state.json)"
}

@test "what does not fit the state is refused and changes nothing" {
  bundle b sleep 100
  run oci start c
  assert_status 1
  assert_has "does not exist"
  oci create -b b c </dev/null
  run oci create -b b c
  assert_status 1
  assert_has "exists already"
  has_status c created
  oci start c
  run oci start c
  assert_status 1
  has_status c running
  oci kill c 9
  wait_for 5 has_status c stopped
  run oci kill c 9
  assert_status 1
  assert_has "container not running"
  run oci start c
  assert_status 1
  oci delete c
  run oci delete c
  assert_status 1
  assert_has "does not exist"
  oci delete --force c
}

@test "a changed config.json does not change a created container" {
  bundle b sh -c 'echo first >/out'
  oci create -b b c </dev/null
  bundle b sh -c 'echo second >/out'
  oci start c
  wait_for 5 has_status c stopped
  [[ $(cat b/rootfs/out) == first ]]
}

@test "create, and no other process, leaves the container the caller's stdio" {
  bundle b sh -c 'cat; echo done'
  oci create -b b c < <(echo input) > >(cat >out; echo eof >eof)
  oci start c
  wait_for 5 test -e eof # as long as somebody else held the pipe it would not end
  [[ $(cat out) == $'input\ndone' ]]
}

@test "run gives the command's exit code and leaves nothing" {
  bundle b sh -c 'echo hello; exit 7'
  run oci run -b b c
  assert_status 7
  assert_output hello
  [[ -z $(oci list -q) ]]
  bundle b sh -c 'kill -9 $$'
  run oci run --bundle=b c
  [[ $status == 137 || $status == 0 ]] # process 1 cannot kill itself
}

@test "run --keep keeps the stopped container, run --detach does not wait" {
  bundle b true
  oci run --keep -b b c
  has_status c stopped
  oci delete c
  bundle b sleep 100
  oci run -b b --pid-file pid -d d </dev/null >/dev/null 2>&1
  has_status d running
  [[ $(cat pid) == "$(pid_of d)" ]]
  oci delete -f d
}

@test "kill takes names and numbers" {
  bundle b sh -c 'trap "echo hup >>/out" HUP; trap "echo usr1 >>/out" USR1; trap "echo rt >>/out" 35; trap "echo term >>/out" TERM; echo >/ready; while :; do sleep 0.05; done'
  oci run -b b -d c </dev/null >/dev/null 2>&1
  wait_for 5 test -e b/rootfs/ready
  oci kill c HUP
  wait_for 5 grep -q hup b/rootfs/out
  oci kill c SIGUSR1
  wait_for 5 grep -q usr1 b/rootfs/out
  oci kill c RTMIN+1
  wait_for 5 grep -q rt b/rootfs/out
  oci kill c
  wait_for 5 grep -q term b/rootfs/out
  run oci kill c NOSUCH
  assert_status 1
  oci kill --all c 9
  wait_for 5 has_status c stopped
}

@test "delete and kill take a regular expression" {
  bundle b sleep 100
  for id in web-1 web-2 db; do oci create -b b $id </dev/null; done
  oci kill --regex '^web' KILL
  wait_for 5 has_status web-2 stopped
  has_status db created
  oci delete --force --regex '^web'
  run oci list -q
  assert_output db
}

@test "a missing command fails create, in the words clients look for" {
  bundle b no-such-command
  run -127 oci --log log.json --log-format json create -b b c
  ((${#lines[@]} == 1)) || fail "$output"
  assert_has 'executable file not found in $PATH'
  [[ $(wc -l <log.json) == 1 ]]
  [[ $(jq -r .level log.json) == error ]]
  date --date "$(jq -r .time log.json)" >/dev/null
  run oci state c
  assert_has "does not exist"
  touch b/rootfs/plain
  bundle b /plain
  run oci create -b b c
  assert_status 126
  assert_has "ermission denied"
}

@test "options may come after the id, with = or without, and with one dash" {
  bundle b sleep 100
  oci create c --bundle b --pid-file=pid -no-subreaper </dev/null
  has_status c created
  oci delete c --force
  run oci create c --no-such-option
  assert_status 1
  assert_has "unknown option --no-such-option"
  run oci create c -b
  assert_status 1
  assert_has "flag needs an argument: -b"
}

@test "ids are those that every engine uses, and no paths" {
  bundle b true
  for id in ../c a/b . .. .hidden 'a b' ''; do
    run oci create -b b "$id"
    assert_status 1
  done
  oci run -b b 'app.u1.10.0.0'
}

@test "each name answers with its own version text" {
  for name in crun runc moss-oci; do
    ln -sf "$MOSS" "$name"
    run ./$name --version
    assert_success
    [[ ${lines[0]} == "$name version "* ]]
    [[ $output == *"spec: 1.3.0"* ]]
    [[ $(grep -c version <<<"$output") == 1 ]] # Docker splits each line that has the word
  done
}

@test "the default root is the same for a user and for root of the user's own namespace" {
  ((EUID != 0)) || skip "for an ordinary user"
  bundle b sleep 100
  env -i XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" "$MOSS" oci create -b b c </dev/null
  run env -i XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" unshare --user --map-root-user "$MOSS" oci state c
  assert_success
  env -i XDG_RUNTIME_DIR="$XDG_RUNTIME_DIR" "$MOSS" oci delete -f c
}

@test "there is no CRIU, and Podman understands that" {
  run oci checkpoint --help
  assert_status 1
  run oci restore --lsm-mount-context
  assert_status 1
  refute_has "flag needs an argument"
}

@test "a terminal goes over the console socket, under its name" {
  bundle b sh -c 'tty; echo $((6*7))'
  jq '.process.terminal = true' b/config.json >new && mv new b/config.json
  run oci create -b b c
  assert_status 1
  assert_has "--console-socket"
  python3 - "$MOSS" "$BATS_TEST_TMPDIR/state" <<'PY'
import array, os, socket, subprocess, sys
moss, root = sys.argv[1:]
server = socket.socket(socket.AF_UNIX)
server.bind("console.sock")
server.listen(1)
subprocess.run([moss, "oci", "--root", root, "create", "-b", "b", "--console-socket", "console.sock", "c"],
               stdin=subprocess.DEVNULL, check=True)
name, control, _, _ = server.accept()[0].recvmsg(4096, 4096)
master = array.array("i", control[0][2])[0]
assert name.startswith(b"/dev/pts/"), name
subprocess.run([moss, "oci", "--root", root, "start", "c"], check=True)
seen = b""
while b"42" not in seen:
    seen += os.read(master, 4096)
assert b"/dev/pts/0" in seen or b"/dev/console" in seen, seen
PY
}

@test "kill --all of a stopped container is no error, kill is" {
  bundle b true
  oci create -b b c </dev/null
  oci start c
  wait_for 5 has_status c stopped
  run oci kill c 9
  assert_status 1
  oci kill --all c 9
}

@test "start waits for a create that is not done" {
  EDIT='.hooks = {createRuntime: [{path: "/bin/sleep", args: ["sleep", "1"]}]}' bundle b touch /ran
  oci create -b b c </dev/null >/dev/null 2>&1 3>&- 4>&- &
  wait_for 5 has_status c creating
  oci start c
  wait_for 5 test -e b/rootfs/ran
  wait
}

# One of eight: whatever comes to mind, on one of two containers, for three seconds or as many as $MOSS_STORM_S says.
storm_worker() {
  local end=$((SECONDS + ${MOSS_STORM_S:-3})) id words status
  RANDOM=$((BASHPID % 30000 + $1))
  while ((SECONDS < end)); do
    id=c$((RANDOM % 2)) status=0
    case $((RANDOM % 10)) in
      0 | 1 | 2) words="create -b b $id" ;;
      3) words="start $id" ;;
      4) words="kill $id KILL" ;;
      5) words="delete $id" ;;
      6) words="delete --force $id" ;;
      7) words="state $id" ;;
      8) words="list" ;;
      9) words="run -d -b b $id" ;;
    esac
    # shellcheck disable=SC2086 # words are words
    timeout -k 1 60 "$MOSS" oci --root "$BATS_TEST_TMPDIR/state" $words </dev/null >"said.$1" 2>&1 || status=$?
    echo "$words" >>commands
    ((status == 0 || status == 1)) || echo "status $status: $words"
    # Others may be quicker; and one may be killed while its creator speaks to it, or who starts it (whose words then are a guess).
    grep -a '^moss oci:' "said.$1" |
      grep -vE 'exists already|does not exist|is not created but|is not stopped but|container not running|broken pipe|somebody else starts the container' | sed "s/^/$words: /"
  done
}

@test "a storm of eight on two containers leaves nothing and says nothing that is not so" {
  local i pids=()
  bundle b sleep 100
  for i in 1 2 3 4 5 6 7 8; do
    storm_worker "$i" >"worker.$i" 3>&- &
    pids+=($!)
  done
  wait "${pids[@]}"
  [[ -z $(cat worker.*) ]] || fail "$(sort worker.* | uniq -c)"
  (($(wc -l <commands) > 30)) || fail "only $(wc -l <commands) commands in the storm"
}
