# Podman drives the runtime through conmon (create, exec) and by itself (start, state, kill, pause, update, delete).
# as: root user

load helpers

setup_file() {
  need podman conmon
  make_work
  image_archive
  use_podman
  podman load --quiet --input "$work/image.tar"
  podman image exists localhost/alpine
}

# A cgroup parent of our own, for root; others have none to give.
setup() {
  # shellcheck disable=SC2034
  parent=()
  is_root && parent=(--cgroup-parent "/${work##*/}")
  cd "$BATS_TEST_TMPDIR"
}
teardown() { podman rm --all --force --time 0 >/dev/null; }
teardown_file() { remove_work; }

run_alpine() { podman run --network none "${parent[@]}" "$@"; }

@test "it is this runtime that podman calls" {
  run_alpine -d --name c localhost/alpine sleep 100
  run podman inspect --format '{{.OCIRuntime}}' c
  assert_output "$OCI_RUNTIME"
}

@test "run shows the output of the command and returns its exit code" {
  run run_alpine --rm localhost/alpine sh -c 'echo out; echo err >&2; exit 7'
  assert_status 7
  assert_has out
  assert_has err
}

@test "run returns 127 for a command that is not there and 126 for one that is no program" {
  run -127 run_alpine --rm localhost/alpine /no/such/command
  run -127 run_alpine --rm localhost/alpine no-such-command
  run run_alpine --rm localhost/alpine /etc/passwd
  assert_status 126
}

@test "run returns 137 for a killed command" {
  run run_alpine --rm localhost/alpine sh -c 'kill -KILL $$; sleep 10'
  # Process 1 cannot kill itself, but its child can be killed.
  run run_alpine --rm localhost/alpine sh -c '(sleep 10) & kill -KILL $!; wait $!'
  assert_status 137
  run_alpine -d --name c localhost/alpine sleep 100
  podman kill c
  run podman wait c
  assert_output 137
}

@test "stdin reaches the container" {
  run run_alpine -i --rm localhost/alpine cat <<<"from outside"
  assert_output "from outside"
}

@test "a created container starts, stops at its signal and is started again" {
  podman create --network none "${parent[@]}" --name c localhost/alpine sh -c 'trap "exit 3" TERM; echo started; while :; do sleep 0.1; done'
  podman start c
  wait_for 5 eval '[[ $(podman logs c) == started ]]'
  podman stop --time 10 c
  run podman inspect --format '{{.State.Status}} {{.State.ExitCode}}' c
  assert_output "exited 3"
  podman restart --time 0 c
  run podman inspect --format '{{.State.Status}}' c
  assert_output running
}

@test "stop kills a container that ignores the signal" {
  run_alpine -d --name c localhost/alpine sh -c 'trap "" TERM; while :; do sleep 0.1; done'
  podman stop --time 1 c
  run podman inspect --format '{{.State.ExitCode}}' c
  assert_output 137
}

@test "exec runs in the container and returns the exit code" {
  run_alpine -d --name c --hostname inside localhost/alpine sleep 100
  run podman exec --env WORD=yes --workdir /tmp --user 7:8 c sh -c 'echo $WORD $(pwd) $(id -u):$(id -g) $(hostname); exit 9'
  assert_status 9
  assert_output "yes /tmp 7:8 inside"
  run -127 podman exec c no-such-command
  run podman exec c /etc/passwd
  assert_status 126
  run podman exec -i c cat <<<"through exec"
  assert_output "through exec"
  podman exec -d c touch /done
  wait_for 5 podman exec c test -e /done
}

@test "run and exec have a terminal of the caller's size" {
  run on_terminal podman run -it --network none "${parent[@]}" --name c localhost/alpine sh -c 'sleep 0.5; stty size; tty; exit 4'
  assert_status 4
  assert_has "30 100"
  assert_has /dev/pts/0
  podman rm c
  run_alpine -d --name c localhost/alpine sleep 100
  run on_terminal podman exec -it c sh -c 'sleep 0.5; stty size; tty; exit 5'
  assert_status 5
  assert_has "30 100"
  assert_has /dev/pts/
}

@test "kill sends the signal that is named" {
  run_alpine -d --name c localhost/alpine sh -c 'trap "echo usr1" USR1; echo ready; while :; do sleep 0.1; done'
  wait_for 5 eval '[[ $(podman logs c) == ready ]]'
  podman kill --signal USR1 c
  wait_for 5 eval '[[ $(podman logs c) == *usr1* ]]'
}

@test "logs have both streams, also when the container has ended" {
  run_alpine -d --name c localhost/alpine sh -c 'echo one; echo two >&2'
  podman wait c
  run podman logs c
  assert_has one
  assert_has two
}

@test "a paused container stands still until it is resumed" {
  is_root || return 0 # an ordinary user has no freezer here
  run_alpine -d --name c localhost/alpine sh -c 'i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.05; done'
  wait_for 5 podman exec c test -e /count
  podman pause c
  run podman inspect --format '{{.State.Status}}' c
  assert_output paused
  local count
  count=$(podman mount c)/count
  run cat "$count"
  local before=$output
  sleep 0.3
  run cat "$count"
  assert_output "$before"
  podman unpause c
  wait_for 5 eval '[[ $(cat "$count") != "$before" ]]'
}

@test "limits are set at the start and changed by update" {
  is_root || return 0 # an ordinary user has no cgroup here
  run_alpine -d --name c --memory 64m --pids-limit 50 --cpus 0.5 localhost/alpine sleep 100
  local pid
  pid=$(podman inspect --format '{{.State.Pid}}' c)
  run cgroup_file memory memory.limit_in_bytes "$pid"
  assert_output $((64 << 20))
  run cgroup_file pids pids.max "$pid"
  assert_output 50
  run cgroup_file cpu cpu.cfs_quota_us "$pid"
  assert_output 50000
  podman update --memory 96m --cpus 0.25 c
  run cgroup_file memory memory.limit_in_bytes "$pid"
  assert_output $((96 << 20))
  run cgroup_file cpu cpu.cfs_quota_us "$pid"
  assert_output 25000
}

@test "an ordinary user's container runs without cgroups where there are none" {
  # Asked for it, podman passes --cgroup-manager, which runc does not have.
  if is_root || [[ ${OCI_RUNTIME##*/} == runc ]]; then return 0; fi
  run run_alpine --rm --cgroups disabled localhost/alpine echo yes
  assert_output yes
}

@test "a health check tells healthy from unhealthy" {
  run_alpine -d --name c --health-cmd 'test -e /healthy' --health-interval disable localhost/alpine sleep 100
  run podman healthcheck run c
  assert_status 1
  podman exec c touch /healthy
  podman healthcheck run c
}

@test "another container's namespaces are joined" {
  run_alpine -d --name c --hostname first localhost/alpine sleep 1234
  run podman run --rm --network container:c --pid container:c --uts container:c "${parent[@]}" localhost/alpine sh -c 'hostname; ps'
  assert_has first
  assert_has "sleep 1234"
}

@test "volumes, a read-only root and a tmpfs are as asked" {
  mkdir data
  echo outside >data/file
  run run_alpine --rm --read-only --tmpfs /scratch -v "$PWD/data:/data" -v "$PWD/data:/ro:ro" localhost/alpine sh -c '
    cat /data/file; echo inside >/data/new; touch /scratch/x; touch /root/x 2>/dev/null || echo root; touch /ro/x 2>/dev/null || echo ro'
  assert_output $'outside\nroot\nro'
  run cat data/new
  assert_output inside
}

@test "user, groups, capabilities and filter are as asked" {
  run run_alpine --rm --user 7:8 --group-add 9 --cap-drop all --security-opt no-new-privileges localhost/alpine \
    sh -c 'id -u; id -g; id -G; grep -E "CapBnd|NoNewPrivs|Seccomp:" /proc/self/status'
  assert_has $'7\n8\n8 9'
  assert_has $'CapBnd:\t0000000000000000'
  assert_has $'NoNewPrivs:\t1'
  assert_has $'Seccomp:\t2'
}

@test "descriptors of the caller's are handed in when asked for" {
  echo handed >file
  run run_alpine --rm --preserve-fds 1 localhost/alpine cat /proc/self/fd/3 3<file
  assert_output handed
}

@test "twenty containers start at once" {
  one() { [[ $(run_alpine --rm --name "c$1" localhost/alpine echo "$1" 2>&1 | tee "said.$1") == "$1" ]] || fail "$1 said: $(cat "said.$1")"; }
  twenty one
}

@test "nothing of a removed container is left" {
  run_alpine -d --name c localhost/alpine sleep 4321
  local id
  id=$(podman inspect --format '{{.Id}}' c)
  podman rm --force --time 0 c
  run find /sys/fs/cgroup -type d -name "*$id*"
  assert_output ""
  run "$OCI_RUNTIME" state "$id"
  ((status != 0))
}
