#!/usr/bin/env bats
# Containers of the OCI runtime on cgroup v2, through the command line, with every manager that the session has: limits,
# update, pause, exec, running out of memory, scopes there and gone. tests/vm/guest runs it and sets SESSION.

setup_file() {
  mkdir -p "$BATS_FILE_TMPDIR/rootfs"/{bin,proc,sys,dev,tmp}
  cp /bin/busybox "$BATS_FILE_TMPDIR/rootfs/bin/"
  ln -s busybox "$BATS_FILE_TMPDIR/rootfs/bin/sh"
}

setup() {
  moss=$BATS_TEST_DIRNAME/../../build/moss
  id=moss-vm-$BATS_TEST_NUMBER-$$
  cd "$BATS_TEST_TMPDIR" || return
  # Under the manager named last wins: in a login session only systemd has anything to give.
  managers=(cgroupfs systemd)
  [[ $SESSION != session ]] || managers=(systemd)
}

teardown() {
  local manager
  for manager in cgroupfs systemd; do oci delete --force "$id-$manager" 2>/dev/null || true; done
}

fail() {
  printf '%s\n' "$@" >&2
  return 1
}

oci() { timeout 60 "$moss" oci --root "$BATS_TEST_TMPDIR/state" "$@"; }
create_options() { [[ $1 == systemd ]] && printf -- '--systemd-cgroup'; return 0; }

# bundle RESOURCES WORD...: a bundle b that runs these words.
bundle() {
  local resources=$1
  shift
  mkdir -p b
  rm -f b/config.json
  oci spec --rootless --bundle b
  jq --argjson resources "$resources" --arg rootfs "$BATS_FILE_TMPDIR/rootfs" \
    '.process.terminal = false | .root = {path: $rootfs, readonly: true} | .linux.resources = $resources
     | .process.args = $ARGS.positional | .mounts |= map(select(.destination != "/sys/fs/cgroup"))' \
    b/config.json --args "$@" >b/config.new
  mv b/config.new b/config.json
}

# The folder of the container's cgroup, from the outside.
folder() { printf '/sys/fs/cgroup%s' "$(cut -d: -f3- "/proc/$(oci state "$1" | jq .pid)/cgroup")"; }
# start_container MANAGER: `run -d` of bundle b.
start_container() {
  # shellcheck disable=SC2046 # one word or none
  oci $(create_options "$1") run -d -b b "$id-$1" </dev/null >/dev/null 2>err || fail "$1: $(cat err)"
}

@test "limits are in the files, update changes them, delete leaves nothing" {
  local manager dir
  for manager in "${managers[@]}"; do
    bundle '{"memory": {"limit": 67108864}, "pids": {"limit": 20}, "cpu": {"shares": 512, "quota": 20000, "period": 50000}}' \
      /bin/busybox sleep 100
    start_container "$manager"
    dir=$(folder "$id-$manager")
    [[ $(cat "$dir/memory.max") == 67108864 ]]
    [[ $(cat "$dir/pids.max") == 20 ]]
    [[ $(cat "$dir/cpu.weight") == 59 ]]
    [[ $(cat "$dir/cpu.max") == "20000 50000" ]]
    oci update --memory 134217728 --pids-limit 30 "$id-$manager"
    [[ $(cat "$dir/memory.max") == 134217728 ]]
    [[ $(cat "$dir/pids.max") == 30 ]]
    [[ $(cat "$dir/cpu.max") == "20000 50000" ]]
    [[ $(oci events --stats "$id-$manager" | jq .data.pids.limit) == 30 ]]
    oci delete --force "$id-$manager"
    [[ ! -e $dir ]] || fail "$dir is still there"
  done
}

@test "pause stops the container, and resume and exec go on" {
  local manager dir
  for manager in "${managers[@]}"; do
    bundle '{}' /bin/busybox sleep 100
    start_container "$manager"
    dir=$(folder "$id-$manager")
    oci pause "$id-$manager"
    grep -q 'frozen 1' "$dir/cgroup.events"
    [[ $(oci state "$id-$manager" | jq -r .status) == paused ]]
    oci resume "$id-$manager"
    grep -q 'frozen 0' "$dir/cgroup.events"
    oci exec "$id-$manager" /bin/busybox true
    oci delete --force "$id-$manager"
    [[ ! -e $dir ]]
  done
}

@test "an exec is in the container's cgroup" {
  local manager dir
  for manager in "${managers[@]}"; do
    bundle '{}' /bin/busybox sleep 100
    start_container "$manager"
    dir=$(folder "$id-$manager")
    oci exec -d "$id-$manager" /bin/busybox sleep 99 </dev/null >/dev/null 2>&1
    [[ $(wc -l <"$dir/cgroup.procs") == 2 ]] || fail "$manager: $(cat "$dir/cgroup.procs")"
    oci delete --force "$id-$manager"
  done
}

@test "a container that runs out of memory is killed, and its limit kept" {
  local manager status
  for manager in "${managers[@]}"; do
    bundle '{"memory": {"limit": 16777216, "swap": 16777216}}' /bin/sh -c 'exec /bin/busybox tail /dev/zero'
    status=0
    # shellcheck disable=SC2046
    oci $(create_options "$manager") run -b b "$id-$manager" </dev/null >/dev/null 2>&1 || status=$?
    ((status == 137)) || fail "$manager: exit status $status"
  done
}

@test "the scope is there while the container is, and gone with it" {
  local user=(--user)
  [[ $SESSION != root ]] || user=()
  bundle '{}' /bin/busybox sleep 100
  jq '.annotations = {"org.systemd.property.Documentation": "[\u0027https://moss.example/\u0027]"}' b/config.json >b/config.new
  mv b/config.new b/config.json
  start_container systemd
  systemctl "${user[@]}" is-active "moss-$id-systemd.scope"
  [[ $(systemctl "${user[@]}" show -p Documentation --value "moss-$id-systemd.scope") == https://moss.example/ ]]
  oci delete --force "$id-systemd"
  [[ $(systemctl "${user[@]}" show -p LoadState --value "moss-$id-systemd.scope") == not-found ]]
}

@test "where nothing is delegated a container without limits runs, and one with limits is told why not" {
  [[ $SESSION == session ]] || skip "cgroups are delegated here"
  bundle '{}' /bin/busybox true
  oci run -b b "$id-cgroupfs"
  bundle '{"memory": {"limit": 67108864}}' /bin/busybox true
  run oci run -b b "$id-cgroupfs"
  ((status != 0))
  [[ $output == *"cannot keep memory.limit"*"Delegate=yes"* ]] || fail "$output"
}
