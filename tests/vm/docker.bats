#!/usr/bin/env bats
# Rootless Docker as its own script starts it: dockerd in a user namespace of rootlesskit's, with systemd's cgroups of the
# user's manager, drives moss-oci through containerd's shim. What is Docker's everywhere is in tests/clients.

load helpers

setup_file() {
  export DOCKER_HOST=unix://$XDG_RUNTIME_DIR/docker.sock
  # The guest has no nftables for IP, so that the daemon gives its bridge no rules.
  systemd-run --user --quiet --unit moss-dockerd --property Delegate=yes --setenv PATH="$PATH:/usr/sbin:/sbin" \
    /usr/share/docker.io/contrib/dockerd-rootless.sh --iptables=false --ip6tables=false \
    --add-runtime "moss=$OCI_RUNTIME" --default-runtime moss
  wait_for 120 eval 'docker version >/dev/null 2>&1' || {
    journalctl --user --unit moss-dockerd --no-pager | tail -n 40 >&2
    return 1
  }
  zcat "$(rootfs_tarball)" | docker import - box >/dev/null
}
setup() { cd "$BATS_TEST_TMPDIR" || return; }
teardown() { remove_docker_containers; }
teardown_file() {
  systemctl --user stop moss-dockerd
  systemctl --user reset-failed moss-dockerd 2>/dev/null || true
}

# A container called box in the background: box OPTION... -- WORD...
box() {
  local options words
  split_at_dashes "$@"
  docker run --detach --name box "${options[@]}" box "${words[@]}" >/dev/null
}
inspect() { docker inspect --format "$1" box; }
# The daemon's pids are the machine's.
folder() { cgroup_of "$(inspect '{{.State.Pid}}')"; }

@test "the daemon is rootless, with systemd's cgroups, and calls this runtime" {
  run docker info --format '{{.CgroupDriver}} {{.CgroupVersion}} {{.DefaultRuntime}} {{.SecurityOptions}}'
  assert_has "systemd 2 moss"
  assert_has rootless
  box -- sleep 1000
  is "the owner of the container's process" "$(id -u)" "$(stat -c %u "/proc/$(inspect '{{.State.Pid}}')")"
  systemctl --user is-active "docker-$(inspect '{{.Id}}').scope"
}

@test "run returns the command's exit code, output and streams" {
  run docker run --rm box sh -c 'echo out; echo err >&2; exit 7'
  assert_status 7
  assert_has out
  assert_has err
  run -127 docker run --rm box no-such-command
  run docker run --rm box /etc/passwd
  assert_status 126
}

@test "the network is the daemon's bridge" {
  run docker run --rm box ip -o address show dev eth0
  assert_status 0
  assert_has "inet 172."
  box -- sh -c 'mkdir /www; echo hello >/www/index.html; exec httpd -f -p 80 -h /www'
  run docker run --rm --link box box wget -q -O - http://box/
  assert_output hello
}

@test "limits are in the files, and update changes them" {
  local dir
  box --memory 64m --cpus 0.5 --pids-limit 50 -- sleep 1000
  dir=$(folder)
  is memory.max 67108864 "$(cat "$dir/memory.max")"
  is cpu.max "50000 100000" "$(cat "$dir/cpu.max")"
  is pids.max 50 "$(cat "$dir/pids.max")"
  docker update --memory 96m --memory-swap -1 --cpus 0.25 --pids-limit 60 box
  is memory.max 100663296 "$(cat "$dir/memory.max")"
  is cpu.max "25000 100000" "$(cat "$dir/cpu.max")"
  is pids.max 60 "$(cat "$dir/pids.max")"
}

@test "a paused container stands still until it is resumed" {
  box -- sleep 1000
  docker pause box
  run inspect '{{.State.Status}}'
  assert_output paused
  grep -q 'frozen 1' "$(folder)/cgroup.events"
  docker unpause box
  grep -q 'frozen 0' "$(folder)/cgroup.events"
}

# As with podman, whether the client is told why is a race with systemd. The folder above counts.
@test "a container over its memory is killed by the kernel" {
  local above before
  box -- sleep 1000
  above=$(folder)
  above=${above%/*}
  before=$(sed -n 's/^oom_kill //p' "$above/memory.events")
  run docker run --rm --memory 16m --memory-swap 16m box tail /dev/zero
  assert_status 137
  is "kills in $above" $((before + 1)) "$(sed -n 's/^oom_kill //p' "$above/memory.events")"
}

@test "top lists the processes and stats has figures" {
  box --memory 64m -- sleep 1234
  run docker top box
  assert_has "sleep 1234"
  run docker stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' box
  assert_has "box "
  assert_has 64MiB
}

@test "exec, stop, kill, logs and restart" {
  box -- sh -c 'echo started; trap "exit 3" TERM; touch /ready; while :; do sleep 0.1; done'
  wait_for 60 docker exec box test -e /ready
  run docker exec --env WORD=yes --workdir /tmp --user 7:8 box sh -c 'echo $WORD $(pwd) $(id -u):$(id -g); exit 9'
  assert_status 9
  assert_output "yes /tmp 7:8"
  docker stop --time 60 box
  run inspect '{{.State.Status}} {{.State.ExitCode}}'
  assert_output "exited 3"
  run docker logs box
  assert_output started
  docker start box
  docker kill box
  run docker wait box
  assert_output 137
}

@test "a health check tells healthy from unhealthy" {
  box --health-cmd 'test ! -e /ill' --health-interval 1s --health-retries 1 -- sleep 1000
  wait_for 60 eval '[[ $(inspect "{{.State.Health.Status}}") == healthy ]]'
  docker exec box touch /ill
  wait_for 60 eval '[[ $(inspect "{{.State.Health.Status}}") == unhealthy ]]'
}

@test "nothing of a removed container is left" {
  box -- sleep 1000
  local id dir
  id=$(inspect '{{.Id}}')
  dir=$(folder)
  docker rm --force box
  [[ ! -e $dir ]]
  is LoadState not-found "$(property "docker-$id.scope" LoadState)"
}
