# containerd drives the runtime through its shim: create, start, exec, kill, pause, resume, ps, delete, with JSON logs.
# as: root

load helpers

setup_file() {
  need containerd ctr
  is_root || skip "containerd's daemon needs root"
  make_work
  image_archive
  cat >"$work/config.toml" <<END
version = 2
root = "$work/root"
state = "$work/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.internal.v1.opt"]
[grpc]
  address = "$work/c.sock"
[ttrpc]
  address = "$work/c.sock.ttrpc"
END
  start_daemon containerd containerd --config "$work/config.toml"
  # The namespace is also the name of the cgroup that holds the containers.
  make_command ctr --address "$work/c.sock" --namespace "${work##*/}"
  wait_for 20 eval 'ctr version >/dev/null 2>&1'
  ctr images import "$work/image.tar" >/dev/null
}
setup() { cd "$BATS_TEST_TMPDIR"; }
teardown() {
  local name
  for name in $(ctr tasks list --quiet); do
    ctr tasks kill --signal KILL "$name" 2>/dev/null || true
    ctr tasks delete --force "$name" >/dev/null 2>&1 || true
  done
  for name in $(ctr containers list --quiet); do ctr containers delete "$name"; done
}
teardown_file() {
  [[ -n ${work-} ]] || return 0
  end_daemon containerd
  sleep 0.2 # for the last shims
  remove_work
}

# A container called c that runs the shell text $1, detached, with options $2...
background() { ctr run --detach --runtime io.containerd.runc.v2 --runc-binary "$OCI_RUNTIME" "${@:2}" localhost/alpine:latest c sh -c "$1"; }
foreground() { ctr run --rm --runtime io.containerd.runc.v2 --runc-binary "$OCI_RUNTIME" "$@"; }
status_is() { [[ $(ctr tasks list | awk '$1 == "c" { print $3 }') == "$1" ]]; }

@test "run shows the output of the command and returns its exit code" {
  run foreground localhost/alpine:latest c sh -c 'echo out; echo err >&2; exit 7'
  assert_status 7
  assert_has out
  assert_has err
}

@test "a command that is not there or is no program is told" {
  run foreground localhost/alpine:latest c no-such-command
  ((status != 0))
  [[ $output =~ (not found|[Nn]o such file) ]]
  run foreground localhost/alpine:latest c /etc/passwd
  ((status != 0))
  [[ $output =~ [Pp]ermission\ denied ]]
}

@test "a killed task returns 137" {
  run foreground localhost/alpine:latest c sh -c '(sleep 10) & kill -KILL $!; wait $!'
  assert_status 137
}

@test "a task is created, running and stopped, then deleted" {
  background 'sleep 100'
  status_is RUNNING
  run ctr tasks delete c
  ((status != 0)) || fail "a running task was deleted"
  ctr tasks kill --signal KILL c
  wait_for 5 status_is STOPPED
  run ctr tasks delete c
  [[ $status == 137 || $output == *137* || $output == "" ]]
  run ctr tasks list --quiet
  assert_output ""
}

@test "the signal that is named is sent" {
  background 'trap "exit 3" USR1; touch /ready; while :; do sleep 0.1; done'
  wait_for 5 eval 'ctr tasks exec --exec-id r c test -e /ready'
  ctr tasks kill --signal USR1 c
  wait_for 5 status_is STOPPED
}

@test "exec runs in the task and returns the exit code" {
  background 'sleep 100'
  run ctr tasks exec --exec-id one --cwd /tmp --user 7:8 c sh -c 'echo $(pwd) $(id -u):$(id -g); exit 9'
  assert_status 9
  assert_output "/tmp 7:8"
  run ctr tasks exec --exec-id two c no-such-command
  ((status != 0))
  [[ $output =~ (not found|[Nn]o such file) ]]
  run ctr tasks exec --exec-id three c cat <<<"through exec"
  assert_output "through exec"
}

@test "run and exec have a terminal of the caller's size" {
  run on_terminal ctr run --rm --tty --runtime io.containerd.runc.v2 --runc-binary "$OCI_RUNTIME" localhost/alpine:latest c \
    sh -c 'sleep 0.5; stty size; tty; exit 4'
  assert_status 4
  assert_has "30 100"
  assert_has /dev/pts/0
  background 'sleep 100'
  run on_terminal ctr tasks exec --tty --exec-id t c sh -c 'sleep 0.5; stty size; tty; exit 5'
  assert_status 5
  assert_has "30 100"
  assert_has /dev/pts/
}

@test "a paused task stands still until it is resumed" {
  mkdir shared
  background 'i=0; while :; do i=$((i+1)); echo $i >/shared/count; sleep 0.05; done' --mount "type=bind,src=$PWD/shared,dst=/shared,options=rbind:rw"
  wait_for 5 test -s shared/count
  ctr tasks pause c
  status_is PAUSED
  local before
  before=$(cat shared/count)
  sleep 0.3
  [[ $(cat shared/count) == "$before" ]]
  ctr tasks resume c
  status_is RUNNING
  wait_for 5 eval '[[ $(cat shared/count) != "$before" ]]'
}

@test "the processes of a task are listed" {
  background 'sleep 1234 & wait'
  wait_for 5 eval '(($(ctr tasks ps c | tail -n +2 | wc -l) == 2))'
}

@test "limits are set" {
  background 'sleep 100' --memory-limit $((64 << 20)) --cpus 0.5
  local pid
  pid=$(ctr tasks list | awk '$1 == "c" { print $2 }')
  run cgroup_file memory memory.limit_in_bytes "$pid"
  assert_output $((64 << 20))
  run cgroup_file cpu cpu.cfs_quota_us "$pid"
  assert_output 50000
  run ctr tasks metrics c
  assert_success
}

@test "a read-only root, a working folder and a filter are as asked" {
  run foreground --read-only --env WORD=yes --cwd /tmp --seccomp localhost/alpine:latest c \
    sh -c 'echo $WORD $(pwd) $(grep Seccomp: /proc/self/status); touch /tmp/x 2>/dev/null || echo read-only'
  assert_output $'yes /tmp Seccomp: 2\nread-only'
}

@test "twenty tasks start at once" {
  one() { [[ $(foreground localhost/alpine:latest "c$1" echo "$1") == "$1" ]]; }
  twenty one
}

@test "nothing of a deleted task is left" {
  foreground localhost/alpine:latest c true
  run find /sys/fs/cgroup -type d -path "*/${work##*/}/*"
  assert_output ""
  run find "$work/state" -name c
  assert_output ""
}

@test "the command in moss-kubernetes(7) runs" {
  ctr images tag localhost/alpine:latest docker.io/library/alpine:latest
  run sh -ec "$(guide_block moss-kubernetes "commands: ctr" | sed "s|/usr/local/bin/moss-oci|$OCI_RUNTIME|")"
  assert_success
  assert_has hello
}
