#!/usr/bin/env bats
# exec, ps and list of the OCI runtime.

load oci_helpers

running() {
  bundle b sleep 100
  oci run -b b -d c </dev/null >/dev/null 2>&1
}

@test "exec runs a command and gives its exit code" {
  running
  run oci exec c sh -c 'echo hello; exit 5'
  assert_status 5
  assert_output hello
  run -127 oci exec c no-such-command
  assert_has "executable file not found in \$PATH"
  run oci exec no-such-container true
  assert_status 255
  assert_has "does not exist"
}

@test "exec takes user, groups, environment, folder and rights from its options" {
  running
  run oci exec --cwd /tmp -e A=1 --env B=2 -e A=3 c sh -c 'pwd; echo $A $B'
  assert_output $'/tmp\n3 2'
  run oci exec -u 0:0 c id -u
  assert_output 0
  for user in "" x 1: :1 +1 0x1 "1 " 4294967296 -1; do
    [[ -n $user ]] || continue
    run oci exec -u "$user" c true
    assert_status 255
  done
  run oci exec --no-new-privs -c CAP_CHOWN c sh -c 'grep -E "NoNewPrivs|CapInh|CapAmb" /proc/self/status | tr -d "\t\n"'
  assert_output "CapInh:0000000000000000CapAmb:0000000000000000NoNewPrivs:1"
}

@test "exec reads its process from a file" {
  running
  jq '.process | .args = ["sh", "-c", "echo from $WHERE"] | .env += ["WHERE=file"]' b/config.json >process.json
  run oci exec --process process.json c
  assert_success
  assert_output "from file"
  echo '{"args":["true"]}' >process.json
  run oci exec -p process.json c
  assert_status 255
  assert_has "process: cwd"
}

@test "exec --detach returns when its pid file is there" {
  running
  oci exec -d --pid-file pid c sleep 100 </dev/null >/dev/null 2>&1
  wait_for 5 grep -q sleep "/proc/$(cat pid)/cmdline"
  run oci ps --format json c
  assert_success
  [[ $(jq length <<<"$output") == 2 ]]
  jq -e "index($(cat pid))" <<<"$output"
  # It has ps for its columns, which finds no boot time on the old kernel of tests/vm.
  ps -ef >/dev/null 2>&1 || return 0
  run oci ps c
  assert_has "sleep 100"
}

@test "exec into a container that is not running is refused in the words clients know" {
  bundle b true
  oci create -b b c </dev/null
  oci start c
  wait_for 5 has_status c stopped
  run oci exec c true
  assert_status 255
  assert_has "container not running"
}

@test "exec closes what the caller left open, but for what is to be preserved" {
  running
  run oci exec c sh -c 'ls /proc/self/fd' 7</dev/null
  refute_has 7
  run oci exec --preserve-fds 1 c cat /proc/self/fd/3 3< <(echo kept)
  assert_output kept
  # What was not open stays closed, and no descriptor of ours takes its place.
  run oci --log log exec --preserve-fds 4 c sh -c 'for fd in 5 6; do test -e /proc/$$/fd/$fd && echo $fd; done' 5<&- 6</dev/null
  assert_output 6
  run cat log
  assert_has "not open: 5"
}

@test "exec takes its process from a pipe" {
  running
  run oci exec --process <(echo '{"args": ["echo", "piped"], "cwd": "/", "env": ["PATH=/bin"]}') c
  assert_output piped
}

@test "--debug tells what is done, in the log or on stderr" {
  running
  run oci --debug --log log exec c true
  assert_output ""
  run cat log
  assert_has "level=debug"
  assert_has "exec c true"
  run oci --debug exec c true
  assert_has "level=debug"
}

@test "list tells of every container, as a table, as JSON, or by id alone" {
  run oci list --format json
  assert_output "[]"
  running
  oci create -b b d </dev/null
  run oci list -q
  assert_output $'c\nd'
  run oci list
  [[ ${lines[0]} =~ ^ID\ +PID\ +STATUS\ +BUNDLE\ +CREATED\ +OWNER$ ]]
  [[ ${lines[2]} =~ ^d\ +[0-9]+\ +created\  ]]
  oci list --format=json | jq -e '[.[].status] == ["running", "created"]'
}
