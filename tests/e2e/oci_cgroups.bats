#!/usr/bin/env bats
# needs: root
# The verbs that work on a container's cgroup: pause, resume, update, events, kill --all.

load oci_helpers

setup() {
  use_home "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR" || return
  [[ -w /sys/fs/cgroup/pids || -w /sys/fs/cgroup/cgroup.procs ]] || skip "no writable cgroups"
  EDIT='.linux.cgroupsPath = "/moss-test-'"$BATS_TEST_NUMBER-$$"'"
    | .linux.resources = {pids: {limit: 50}, memory: {limit: 67108864}}' bundle b sh -c 'echo >/ready; exec sleep 100'
}

running() {
  oci run -b b -d c </dev/null >/dev/null 2>&1
  wait_for 5 test -e b/rootfs/ready
}

@test "pause freezes, resume thaws, and state and exec know of it" {
  running
  oci pause c
  has_status c paused
  run timeout 60 "$MOSS" oci --root state exec c true
  assert_status 255
  assert_has paused
  oci resume c
  has_status c running
  oci exec c true
  run oci resume c
  assert_status 1
  assert_has "not paused"
}

@test "a paused container can be killed and deleted" {
  running
  oci pause c
  oci kill c KILL
  wait_for 5 has_status c stopped
  oci delete c
  running
  oci pause c
  oci delete --force c
}

@test "update changes limits, from a file, from standard input or by option" {
  running
  oci update --pids-limit 33 c
  run oci events --stats c
  assert_success
  [[ $(jq .data.pids.limit <<<"$output") == 33 ]]
  echo '{"pids":{"limit":34}}' >limits.json
  oci update --resources limits.json c
  [[ $(oci events --stats c | jq .data.pids.limit) == 34 ]]
  oci update -r - c <<<'{"memory":{"limit":50331648}}'
  [[ $(oci events --stats c | jq .data.memory.usage.limit) == 50331648 ]]
  oci update --memory 64m c
  [[ $(oci events --stats c | jq .data.memory.usage.limit) == 67108864 ]]
  run oci update c
  assert_status 1
  run oci update --pids-limit many c
  assert_status 1
}

@test "ps and kill --all see every process of the container" {
  running
  oci exec -d c sleep 90 </dev/null >/dev/null 2>&1
  [[ $(oci ps --format json c | jq length) == 2 ]]
  oci kill --all c KILL
  wait_for 5 has_status c stopped
}

@test "nothing is left of the cgroup" {
  running
  oci delete --force c
  run find /sys/fs/cgroup -maxdepth 2 -name "moss-test-$BATS_TEST_NUMBER-$$"
  assert_output ""
}

@test "events --interval tells again and again until the end" {
  running
  oci events --interval 100ms c >events &
  wait_for 5 test -s events
  oci delete --force c
  wait $!
  jq -se 'length >= 1 and all(.[]; .type == "stats" and .id == "c")' events
}

@test "update of a resctrl group needs a container that has one" {
  running
  run oci update --l3-cache-schema L3:0=ff c
  assert_status 1
  assert_has "linux.intelRdt: the container was created without it"
}

@test "cgroups nested deeper than a path can say are removed with the container" {
  running
  python3 - "/moss-test-$BATS_TEST_NUMBER-$$" <<'END'
import os, sys
for tree in ("pids", "unified"):
    try: os.chdir(f"/sys/fs/cgroup/{tree}{sys.argv[1]}")
    except FileNotFoundError: continue
    for _ in range(25):
        os.mkdir("n" * 200); os.chdir("n" * 200)
    os.mkdir("last")
END
  oci kill --all c KILL
  wait_for 5 has_status c stopped
  oci delete c
  run find /sys/fs/cgroup -maxdepth 2 -name "moss-test-$BATS_TEST_NUMBER-$$*"
  assert_output ""
}

@test "a container is not started in a cgroup that is frozen" {
  local name
  name=$(jq -r .linux.cgroupsPath b/config.json)
  if [[ -w /sys/fs/cgroup/freezer ]]; then
    mkdir "/sys/fs/cgroup/freezer$name"
    echo FROZEN >"/sys/fs/cgroup/freezer$name/freezer.state"
  else
    mkdir "/sys/fs/cgroup$name"
    echo 1 >"/sys/fs/cgroup$name/cgroup.freeze"
  fi
  run timeout 60 "$MOSS" oci --root state create -b b c </dev/null
  rmdir "/sys/fs/cgroup/freezer$name" || rmdir "/sys/fs/cgroup$name"
  assert_status 1
  assert_has "frozen"
}

@test "delete --force ends a process that somebody froze in another cgroup" {
  [[ -w /sys/fs/cgroup/freezer ]] || skip "no cgroup v1 freezer, in which the frozen do not die"
  running
  local other=/sys/fs/cgroup/freezer/moss-test-other-$$
  mkdir "$other"
  pid_of c >"$other/cgroup.procs"
  echo FROZEN >"$other/freezer.state"
  run timeout 60 "$MOSS" oci --root state delete --force c
  echo THAWED >"$other/freezer.state"
  wait_for 5 rmdir "$other"
  assert_success
}
