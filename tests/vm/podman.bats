#!/usr/bin/env bats
# Podman with systemd's cgroups and journal, as it comes, configured as moss-podman(7) says: as root, and rootless in a
# login session. What needs neither systemd nor cgroup v2 is in tests/clients.
# The guest is thrown away, so podman's stores and units are where a user has them.

load helpers

setup_file() {
  local config=$HOME/.config/containers
  ! is_root || config=/etc/containers
  mkdir -p "$config"
  guide_block moss-podman "file: containers.conf" | sed "s|/usr/local/bin/moss-oci|$OCI_RUNTIME|" >"$config/containers.conf"
  podman import --quiet "$(rootfs_tarball)" localhost/box
}

setup() { cd "$BATS_TEST_TMPDIR" || return; }

teardown() {
  podman rm --force --all --time 0 >/dev/null
  podman pod rm --force --all >/dev/null
  local left
  left=$(manager list-units --all --plain --no-legend 'libpod-*.scope' | grep -v libpod-conmon || true)
  [[ -z $left ]] || fail "left behind: $left"
}

# A container called box that runs in the background: box OPTION... -- WORD...
box() {
  local options words
  split_at_dashes "$@"
  podman run --detach --name box --network none "${options[@]}" localhost/box "${words[@]}"
}
inspect() { podman inspect --format "$1" box; }
folder() { cgroup_of "$(inspect '{{.State.Pid}}')"; }

@test "it is this runtime that podman calls, with systemd's cgroups" {
  run podman info --format '{{.Host.CgroupManager}} {{.Host.CgroupsVersion}} {{.Host.OCIRuntime.Path}}'
  assert_output "systemd v2 $OCI_RUNTIME"
  box -- sleep 1000
  run inspect '{{.OCIRuntime}}'
  assert_output moss-oci
  manager is-active "libpod-$(inspect '{{.Id}}').scope"
}

@test "run returns the command's exit code, output and streams" {
  run podman run --rm --network none localhost/box sh -c 'echo out; echo err >&2; exit 7'
  assert_status 7
  assert_has out
  assert_has err
  run -127 podman run --rm --network none localhost/box no-such-command
  run podman run --rm --network none localhost/box /etc/passwd
  assert_status 126
}

@test "-m, --cpus and --pids-limit are in the files, and in the scope" {
  local dir unit
  box --memory 64m --memory-reservation 32m --cpus 0.5 --pids-limit 50 -- sleep 1000
  dir=$(folder)
  is memory.max 67108864 "$(cat "$dir/memory.max")"
  is memory.low 33554432 "$(cat "$dir/memory.low")"
  is cpu.max "50000 100000" "$(cat "$dir/cpu.max")"
  is pids.max 50 "$(cat "$dir/pids.max")"
  unit=libpod-$(inspect '{{.Id}}').scope
  is MemoryMax 67108864 "$(property "$unit" MemoryMax)"
  is TasksMax 50 "$(property "$unit" TasksMax)"
}

@test "update changes them" {
  local dir
  box --memory 64m --cpus 0.5 -- sleep 1000
  dir=$(folder)
  podman update --memory 96m --cpus 0.25 --pids-limit 60 box
  is memory.max 100663296 "$(cat "$dir/memory.max")"
  is cpu.max "25000 100000" "$(cat "$dir/cpu.max")"
  is pids.max 60 "$(cat "$dir/pids.max")"
  manager daemon-reload
  is memory.max 100663296 "$(cat "$dir/memory.max")"
}

@test "a paused container stands still until it is resumed" {
  local dir
  box -- sleep 1000
  dir=$(folder)
  podman pause box
  run inspect '{{.State.Status}}'
  assert_output paused
  grep -q 'frozen 1' "$dir/cgroup.events"
  podman unpause box
  grep -q 'frozen 0' "$dir/cgroup.events"
  podman exec box true
}

# Whether podman's OOMKilled is set is a race between conmon, which reads the folder of a container that has ended, and
# systemd, which removes it: lost as often with runc. The folder above counts too.
@test "a container over its memory is killed by the kernel" {
  local above before
  box -- sleep 1000
  above=$(folder)
  above=${above%/*}
  before=$(sed -n 's/^oom_kill //p' "$above/memory.events")
  run podman run --rm --network none --memory 16m --memory-swap 16m localhost/box tail /dev/zero
  assert_status 137
  is "kills in $above" $((before + 1)) "$(sed -n 's/^oom_kill //p' "$above/memory.events")"
}

@test "top lists the processes and stats has figures" {
  box --memory 64m -- sleep 1234
  podman exec --detach box sleep 1235
  run podman top box pid args
  assert_has "sleep 1234"
  assert_has "sleep 1235"
  run podman stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDS}}' box
  assert_has "box "
  assert_has "67.11MB"
  assert_has " 2"
}

@test "exec is in the container's cgroup and returns the exit code" {
  box -- sleep 1000
  podman exec --detach box sleep 1001
  is "processes in the cgroup" 2 "$(wc -l <"$(folder)/cgroup.procs")"
  run podman exec --env WORD=yes --workdir /tmp --user 7:8 box sh -c 'echo $WORD $(pwd) $(id -u):$(id -g); exit 9'
  assert_status 9
  assert_output "yes /tmp 7:8"
}

@test "a health check tells healthy from unhealthy, by systemd's timer" {
  box --health-cmd 'test ! -e /ill' --health-interval 1s --health-retries 1 -- sleep 1000
  wait_for 60 eval '[[ $(inspect "{{.State.Health.Status}}") == healthy ]]'
  podman exec box touch /ill
  wait_for 60 eval '[[ $(inspect "{{.State.Health.Status}}") == unhealthy ]]'
}

@test "logs come out of the journal" {
  is_root || skip "a journal in memory, as the guest has, shows nothing to users"
  podman run --name box --network none --log-driver journald localhost/box sh -c 'echo one; echo two'
  # The journal takes its time.
  logged() { [[ $(podman logs box) == $'one\ntwo' ]]; }
  wait_for 30 logged
}

@test "stop, kill and restart" {
  box --stop-timeout 1 -- sh -c 'trap "exit 3" TERM; touch /ready; while :; do sleep 0.1; done'
  wait_for 30 podman exec box test -e /ready
  podman stop --time 60 box
  run inspect '{{.State.Status}} {{.State.ExitCode}}'
  assert_output "exited 3"
  podman start box
  podman kill --signal KILL box
  run podman wait box
  assert_output 137
  podman restart --time 0 box
  run inspect '{{.State.Status}}'
  assert_output running
}

@test "--cgroups disabled and split" {
  run podman run --rm --network none --cgroups disabled localhost/box cat /proc/self/cgroup
  assert_status 0
  box --cgroups disabled -- sleep 1000
  [[ $(folder) != *libpod-* ]] || fail "$(folder)"
  podman rm --force --time 0 box
  # split wants to be in a unit of its own, as Quadlet starts it.
  local unit=(systemd-run --quiet --wait --collect --pipe -p Delegate=yes)
  is_root || unit+=(--user)
  run "${unit[@]}" podman run --rm --network none --cgroups split --memory 64m --cgroupns host localhost/box cat /proc/self/cgroup
  assert_status 0
  assert_has ".service/libpod-payload-"
}

@test "--systemd: a container that runs systemd gets a cgroup of its own to divide" {
  run podman run --rm --network none --systemd always localhost/box sh -c 'mkdir /sys/fs/cgroup/init.scope && echo $$ >/sys/fs/cgroup/init.scope/cgroup.procs && cat /proc/self/cgroup'
  assert_status 0
  assert_output 0::/init.scope
}

@test "a pod shares a slice, and its limit" {
  podman pod create --name moss-pod --network none --memory 96m
  podman run --detach --pod moss-pod --name box localhost/box sleep 1000
  local dir
  dir=$(folder)
  [[ $dir == *-libpod_pod_*.slice/libpod-* || $dir == *libpod_pod_*.slice/libpod-* ]] || fail "$dir"
  is "the slice's memory.max" 100663296 "$(cat "${dir%/*}/memory.max")"
  podman pod pause moss-pod
  grep -q 'frozen 1' "$dir/cgroup.events"
  podman pod unpause moss-pod
  podman pod rm --force --time 0 moss-pod
  [[ ! -e $dir ]]
}

# Their units do not wait for a network, which the guest never has.
@test "quadlet: a unit of systemd's is a container" {
  local units=$HOME/.config/containers/systemd
  ! is_root || units=/etc/containers/systemd
  mkdir -p "$units"
  printf '[Quadlet]\nDefaultDependencies=false\n[Container]\nImage=localhost/box\nContainerName=box\nNetwork=none\nExec=sleep 1000\nPodmanArgs=--stop-timeout 1\nNotify=false\n[Service]\nMemoryMax=80M\n' >"$units/moss-quadlet.container"
  manager daemon-reload
  manager start moss-quadlet.service
  manager is-active moss-quadlet.service
  [[ $(folder) == */moss-quadlet.service/libpod-payload-* ]] || fail "$(folder)"
  is "the unit's memory.max" 83886080 "$(cat "$(folder)/../memory.max")"
  manager stop moss-quadlet.service
  wait_for 20 eval '! podman container exists box'
  manager start moss-quadlet.service
  podman kill --signal KILL box
  wait_for 20 eval '[[ $(property moss-quadlet.service ActiveState) == failed ]]'
  manager reset-failed moss-quadlet.service
  rm "$units/moss-quadlet.container"
  manager daemon-reload
}

@test "a container tells systemd itself that it is ready" {
  local units=$HOME/.config/containers/systemd
  ! is_root || units=/etc/containers/systemd
  mkdir -p "$units"
  printf '[Quadlet]\nDefaultDependencies=false\n[Container]\nImage=localhost/box\nContainerName=box\nNetwork=none\nNotify=true\nPodmanArgs=--stop-timeout 1\nExec=sh -c %s\n' \
    '"ls -l $NOTIFY_SOCKET >/seen; sleep 1000"' >"$units/moss-notify.container"
  printf '[Service]\nTimeoutStopSec=2\n' >>"$units/moss-notify.container"
  manager daemon-reload
  # Nothing in the image can send the word: so systemd waits, and the socket is there.
  manager start --no-block moss-notify.service
  wait_for 60 podman exec box test -s /seen
  is ActiveState activating "$(property moss-notify.service ActiveState)"
  run podman exec box cat /seen
  [[ $output == s* ]] || fail "no socket: $output"
  manager stop moss-notify.service
  manager reset-failed moss-notify.service || true
  rm "$units/moss-notify.container"
  manager daemon-reload
}

@test "generate systemd: its unit starts and stops the container" {
  local units=$HOME/.config/systemd/user
  ! is_root || units=/etc/systemd/system
  mkdir -p "$units"
  podman create --name box --network none --stop-timeout 1 localhost/box sleep 1000
  podman generate systemd --new --name box 2>/dev/null >"$units/moss-generated.service"
  podman rm box
  manager daemon-reload
  manager start moss-generated.service
  manager is-active moss-generated.service
  podman exec box true
  manager stop moss-generated.service
  is ActiveState inactive "$(property moss-generated.service ActiveState | sed 's/failed/inactive/')"
  wait_for 20 eval '! podman container exists box'
  manager reset-failed moss-generated.service 2>/dev/null || true
  rm "$units/moss-generated.service"
  manager daemon-reload
}

@test "ten at once, and nothing of them is left" {
  local i pids=()
  for i in {1..10}; do
    podman run --rm --network none --memory 64m localhost/box true 3>&- &
    pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i"; done
  run find /sys/fs/cgroup -type d -name 'libpod-*' -not -name 'libpod-conmon-*'
  assert_output ""
}
