#!/usr/bin/env bats
# Hooks: when each kind runs, where, and with what on its standard input.

load oci_helpers

# A hook, as JSON, that appends "NAME STATUS PID-is-number NAMESPACE-VIEW" to file $2, which it sees at that path.
hook() {
  local name=$1 file=$2
  jq -nc --arg script "read -r state; set -- \$(echo \"\$state\" | sed 's/.*\"pid\":\\([0-9]*\\),\"status\":\"\\([a-z]*\\)\".*/\\1 \\2/'); echo $name \$2 \$1 \$(hostname) >>$file" \
    '{path: "/bin/sh", args: ["sh", "-c", $script], env: ["PATH=/usr/bin:/bin"]}'
}

@test "each kind runs at its time, in its namespaces, with the state it should see" {
  local host_pid
  EDIT=".hooks = {
    prestart: [$(hook prestart "$PWD/log")], createRuntime: [$(hook createRuntime "$PWD/log")],
    createContainer: [$(hook createContainer "$PWD/log")], startContainer: [$(hook startContainer /log)],
    poststart: [$(hook poststart "$PWD/log")], poststop: [$(hook poststop "$PWD/log")]}" bundle b sleep 100
  oci create -b b c </dev/null
  host_pid=$(pid_of c)
  [[ $(cut -d' ' -f1 log | tr '\n' ' ') == "prestart createRuntime createContainer " ]]
  [[ ! -e b/rootfs/log ]]
  oci start c
  oci delete -f c
  run cat log
  assert_output "prestart creating $host_pid $(hostname)
createRuntime creating $host_pid $(hostname)
createContainer creating 1 moss
poststart running $host_pid $(hostname)
poststop stopped 0 $(hostname)"
  run cat b/rootfs/log
  assert_output "startContainer created 1 moss"
}

@test "hooks of a kind run in their order and get nothing but their own environment" {
  EDIT='.hooks.createRuntime = [
    {path: "/bin/sh", args: ["sh", "-c", "echo 1 $A $HOME >>'"$PWD"'/log"], env: ["A=a"]},
    {path: "/bin/sh", args: ["sh", "-c", "echo 2 >>'"$PWD"'/log"]}]' bundle b true
  oci run -b b c
  [[ $(cat log) == $'1 a\n2' ]]
}

@test "a failing hook before the start fails create, runs poststop and leaves nothing" {
  for kind in prestart createRuntime createContainer; do
    rm -f stopped
    EDIT=".hooks = {$kind: [{path: \"/bin/sh\", args: [\"sh\", \"-c\", \"echo why >&2; exit 3\"]}],
      poststop: [{path: \"/bin/touch\", args: [\"touch\", \"$PWD/stopped\"]}]}" bundle b true
    run oci create -b b c
    assert_status 1
    ((${#lines[@]} == 1)) || fail "$output"
    assert_has "$kind hook /bin/sh"
    assert_has "exit status 3"
    [[ -e stopped ]]
    run oci state c
    assert_has "does not exist"
  done
}

@test "a failing startContainer hook fails start, a failing poststart hook stops the container" {
  EDIT='.hooks.startContainer = [{path: "/bin/false"}]' bundle b sh -c 'echo ran >/ran'
  oci create -b b c </dev/null
  run oci start c
  assert_status 1
  assert_has "startContainer hook /bin/false"
  wait_for 5 has_status c stopped
  [[ ! -e b/rootfs/ran ]]
  oci delete c
  EDIT='.hooks.poststart = [{path: "/bin/false"}]' bundle b sleep 100
  oci create -b b c </dev/null
  run oci start c
  assert_status 1
  assert_has "poststart hook /bin/false"
  wait_for 5 has_status c stopped
  oci delete c
}

@test "a hook that takes longer than its timeout is killed" {
  for kind in createRuntime createContainer; do
    EDIT=".hooks.$kind = [{path: \"/bin/sleep\", args: [\"sleep\", \"60\"], timeout: 1}]" bundle b true
    SECONDS=0
    run oci create -b b c
    assert_status 1
    assert_has "$kind hook /bin/sleep"
    assert_has "timed out"
    ((SECONDS < 40))
  done
}

@test "a failing poststop hook is a warning" {
  EDIT='.hooks.poststop = [{path: "/bin/false"}, {path: "/bin/touch", args: ["touch", "'"$PWD"'/second"]}]' bundle b true
  run oci --log log run -b b c
  assert_success
  assert_output ""
  [[ -e second ]]
  grep -q 'level=warning.*poststop hook /bin/false' log
}

@test "a startContainer hook has the container's rights, not ours" {
  EDIT='.hooks.startContainer = [{path: "/bin/sh", args: ["sh", "-c", "grep -E \"CapEff|Seccomp:\" /proc/self/status >/hook"]}]
    | .process.noNewPrivileges = false | .linux.seccomp = {defaultAction: "SCMP_ACT_ALLOW", syscalls: [{names: ["swapon"], action: "SCMP_ACT_ERRNO"}]}' \
    bundle b sh -c 'grep -E "CapEff|Seccomp:" /proc/self/status >/workload'
  oci run -b b c
  run cat b/rootfs/hook
  assert_output "$(cat b/rootfs/workload)"
  assert_has $'Seccomp:\t2'
}
