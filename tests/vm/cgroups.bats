# Containers of the OCI runtime on cgroup v2, through the command line, with every manager that the session has: limits,
# update, pause, exec, events, kill, running out of memory, scopes there and gone.

load helpers

setup_file() {
  mkdir -p "$BATS_FILE_TMPDIR/rootfs"/{bin,proc,sys/fs/cgroup,dev,tmp}
  cp /bin/busybox "$BATS_FILE_TMPDIR/rootfs/bin/"
  ln -s busybox "$BATS_FILE_TMPDIR/rootfs/bin/sh"
}

setup() {
  id=moss-vm-$BATS_TEST_NUMBER-$$
  cd "$BATS_TEST_TMPDIR" || return
  # In a login session only systemd has anything to give.
  managers=(cgroupfs systemd)
  [[ $SESSION != session ]] || managers=(systemd)
}

teardown() {
  local manager left
  for manager in cgroupfs systemd; do oci delete --force "$id-$manager" 2>/dev/null || true; done
  left=$(find /sys/fs/cgroup -type d -name "*$id*"; manager list-units --all --plain --no-legend "*$id*")
  [[ -z $left ]] || fail "left behind: $left"
}

oci() { timeout 60 "$MOSS" oci --root "$BATS_TEST_TMPDIR/state" "$@"; }
# The same for what makes a container, by MANAGER.
oci_with() {
  local option=()
  [[ $1 != systemd ]] || option=(--systemd-cgroup)
  oci "${option[@]}" "${@:2}"
}

# bundle RESOURCES WORD...: a bundle b that runs these words. $EDIT is one more jq filter for its config.json.
bundle() {
  local resources=$1 words
  shift
  words=$(for words; do jq -Rs . <<<"$words"; done | jq -s 'map(rtrimstr("\n"))')
  mkdir -p b
  rm -f b/config.json
  oci spec --rootless --bundle b
  jq --argjson resources "$resources" --argjson words "$words" --arg rootfs "$BATS_FILE_TMPDIR/rootfs" \
    '.process.terminal = false | .root = {path: $rootfs, readonly: true} | .linux.resources = $resources
     | .process.args = $words | .mounts |= map(select(.destination != "/sys/fs/cgroup"))'" | ${EDIT:-.}" \
    b/config.json >b/config.new
  mv b/config.new b/config.json
}
sleeping() { bundle "${1:-{\}}" /bin/busybox sleep 1000; }

pid_of() { oci state "$1" | jq .pid; }
folder() { cgroup_of "$(pid_of "$1")"; }
has_status() { [[ $(oci state "$1" | jq -r .status) == "$2" ]]; }
at_least() { (($(cat "$2/pids.current") >= $1)); }
has_processes() { [[ $(wc -l <"$1/cgroup.procs") == "$2" ]]; }

# start_container MANAGER: `run -d` of bundle b.
start_container() {
  oci_with "$1" run -d -b b "$id-$1" </dev/null >/dev/null 2>err || fail "$1: $(cat err)"
}

# After the container is deleted: neither its folder nor its scope.
assert_gone() {
  [[ ! -e $2 ]] || fail "$2 is still there"
  [[ $1 != systemd ]] || is "the scope" not-found "$(property "moss-$id-$1.scope" LoadState)"
}

@test "limits are in the files, update changes them, delete leaves nothing" {
  local manager dir
  for manager in "${managers[@]}"; do
    sleeping '{"memory": {"limit": 67108864}, "pids": {"limit": 20}, "cpu": {"shares": 512, "quota": 20000, "period": 50000}}'
    start_container "$manager"
    dir=$(folder "$id-$manager")
    is memory.max 67108864 "$(cat "$dir/memory.max")"
    is pids.max 20 "$(cat "$dir/pids.max")"
    is cpu.weight 59 "$(cat "$dir/cpu.weight")"
    is cpu.max "20000 50000" "$(cat "$dir/cpu.max")"
    oci update --memory 134217728 --pids-limit 30 "$id-$manager"
    is memory.max 134217728 "$(cat "$dir/memory.max")"
    is pids.max 30 "$(cat "$dir/pids.max")"
    is cpu.max "20000 50000" "$(cat "$dir/cpu.max")"
    is "the limit in events" 30 "$(oci events --stats "$id-$manager" | jq .data.pids.limit)"
    oci delete --force "$id-$manager"
    assert_gone "$manager" "$dir"
  done
}

@test "every limit that version 2 has words for is in its file" {
  local manager dir
  for manager in "${managers[@]}"; do
    sleeping '{"memory": {"limit": 67108864, "reservation": 33554432, "swap": 100663296}, "pids": {"limit": -1},
      "cpu": {"idle": 1}, "unified": {"memory.high": "50331648", "cgroup.max.descendants": "7"}}'
    start_container "$manager"
    dir=$(folder "$id-$manager")
    is memory.low 33554432 "$(cat "$dir/memory.low")"
    [[ ! -e $dir/memory.swap.max ]] || is memory.swap.max 33554432 "$(cat "$dir/memory.swap.max")"
    is pids.max max "$(cat "$dir/pids.max")"
    is cpu.idle 1 "$(cat "$dir/cpu.idle")"
    is memory.high 50331648 "$(cat "$dir/memory.high")"
    is cgroup.max.descendants 7 "$(cat "$dir/cgroup.max.descendants")"
    oci delete --force "$id-$manager"
    assert_gone "$manager" "$dir"
  done
}

@test "what version 2 cannot keep is refused by name, and nothing is left" {
  local manager
  for manager in "${managers[@]}"; do
    sleeping '{"memory": {"limit": 67108864, "swappiness": 10}}'
    run oci_with "$manager" run -b b "$id-$manager"
    ((status != 0))
    assert_has swappiness
    sleeping '{"unified": {"nosuch.max": "1"}}'
    run oci_with "$manager" run -b b "$id-$manager"
    ((status != 0))
    assert_has nosuch
    run oci state "$id-$manager"
    ((status != 0))
  done
}

@test "update takes a file, standard input and every option, and keeps what it does not name" {
  local manager dir
  for manager in "${managers[@]}"; do
    sleeping '{"memory": {"limit": 67108864}, "cpu": {"quota": 20000, "period": 50000}}'
    start_container "$manager"
    dir=$(folder "$id-$manager")
    echo '{"memory": {"limit": 50331648}, "pids": {"limit": 44}}' >limits.json
    oci update --resources limits.json "$id-$manager"
    is memory.max 50331648 "$(cat "$dir/memory.max")"
    is pids.max 44 "$(cat "$dir/pids.max")"
    oci update -r - "$id-$manager" <<<'{"cpu": {"shares": 1024}}'
    is cpu.weight 100 "$(cat "$dir/cpu.weight")"
    is cpu.max "20000 50000" "$(cat "$dir/cpu.max")"
    oci update --cpu-quota 30000 --cpu-period 60000 --memory-reservation 16777216 "$id-$manager"
    is cpu.max "30000 60000" "$(cat "$dir/cpu.max")"
    is memory.low 16777216 "$(cat "$dir/memory.low")"
    oci update --cpu-quota -1 --memory -1 "$id-$manager"
    is cpu.max "max 60000" "$(cat "$dir/cpu.max")"
    is memory.max max "$(cat "$dir/memory.max")"
    is pids.max 44 "$(cat "$dir/pids.max")"
    run oci update --memory lots "$id-$manager"
    ((status != 0))
    oci delete --force "$id-$manager"
  done
}

@test "what systemd has words for outlives its daemon-reload" {
  local unit=moss-$id-systemd.scope dir
  sleeping '{"memory": {"limit": 67108864}, "pids": {"limit": 20}, "cpu": {"shares": 512, "quota": 20000, "period": 50000}}'
  start_container systemd
  dir=$(folder "$id-systemd")
  is MemoryMax 67108864 "$(property "$unit" MemoryMax)"
  is TasksMax 20 "$(property "$unit" TasksMax)"
  is CPUWeight 59 "$(property "$unit" CPUWeight)"
  is CPUQuotaPerSecUSec 400ms "$(property "$unit" CPUQuotaPerSecUSec)"
  oci update --memory 134217728 --pids-limit 30 "$id-systemd"
  is MemoryMax 134217728 "$(property "$unit" MemoryMax)"
  manager daemon-reload
  is memory.max 134217728 "$(cat "$dir/memory.max")"
  is pids.max 30 "$(cat "$dir/pids.max")"
  is cpu.max "20000 50000" "$(cat "$dir/cpu.max")"
}

@test "pause stops the container, and resume and exec go on" {
  local manager dir
  for manager in "${managers[@]}"; do
    sleeping
    start_container "$manager"
    dir=$(folder "$id-$manager")
    oci pause "$id-$manager"
    grep -q 'frozen 1' "$dir/cgroup.events"
    has_status "$id-$manager" paused
    run oci exec "$id-$manager" /bin/busybox true
    ((status != 0))
    assert_has paused
    oci resume "$id-$manager"
    grep -q 'frozen 0' "$dir/cgroup.events"
    oci exec "$id-$manager" /bin/busybox true
    oci delete --force "$id-$manager"
    assert_gone "$manager" "$dir"
  done
}

@test "a paused container is killed, and deleted by force" {
  local manager dir
  for manager in "${managers[@]}"; do
    sleeping
    start_container "$manager"
    oci pause "$id-$manager"
    oci kill "$id-$manager" KILL
    wait_for 10 has_status "$id-$manager" stopped
    oci delete "$id-$manager"
    start_container "$manager"
    dir=$(folder "$id-$manager")
    oci pause "$id-$manager"
    oci delete --force "$id-$manager"
    assert_gone "$manager" "$dir"
  done
}

@test "an exec is in the container's cgroup, and ps sees it" {
  local manager dir
  for manager in "${managers[@]}"; do
    sleeping
    start_container "$manager"
    dir=$(folder "$id-$manager")
    oci exec -d "$id-$manager" /bin/busybox sleep 99 </dev/null >/dev/null 2>&1
    has_processes "$dir" 2 || fail "$manager: $(cat "$dir/cgroup.procs")"
    is "processes in ps" 2 "$(oci ps --format json "$id-$manager" | jq length)"
    oci delete --force "$id-$manager"
  done
}

@test "kill --all and delete --force end every process, also of one that forks on and on" {
  local manager dir
  for manager in "${managers[@]}"; do
    # Without a pid namespace of its own nothing but the cgroup knows them all.
    EDIT='.linux.namespaces |= map(select(.type != "pid"))' bundle '{"pids": {"limit": 40}}' \
      /bin/sh -c 'while :; do /bin/busybox setsid /bin/busybox sleep 1000 & /bin/busybox sleep 0.01; done'
    start_container "$manager"
    dir=$(folder "$id-$manager")
    wait_for 30 at_least 20 "$dir"
    oci kill --all "$id-$manager" KILL
    wait_for 10 eval '[[ ! -s $dir/cgroup.procs ]]'
    wait_for 10 has_status "$id-$manager" stopped
    oci delete "$id-$manager"
    assert_gone "$manager" "$dir"
    start_container "$manager"
    dir=$(folder "$id-$manager")
    wait_for 30 at_least 20 "$dir"
    oci delete --force "$id-$manager"
    assert_gone "$manager" "$dir"
  done
}

@test "the limit of processes is kept" {
  local manager
  for manager in "${managers[@]}"; do
    bundle '{"pids": {"limit": 5}}' /bin/sh -c 'i=0; while [ $i -lt 20 ]; do /bin/busybox sleep 3 & i=$((i+1)); done; wait'
    run oci_with "$manager" run -b b "$id-$manager"
    assert_has "fork"
  done
}

@test "events tell figures again and again until the end" {
  local manager
  for manager in "${managers[@]}"; do
    bundle '{"memory": {"limit": 67108864}}' /bin/sh -c 'while :; do :; done'
    start_container "$manager"
    oci events --interval 200ms "$id-$manager" >events 3>&- &
    wait_for 20 eval '(($(wc -l <events) >= 2))'
    oci delete --force "$id-$manager"
    wait $!
    jq -se --arg id "$id-$manager" 'length >= 2 and all(.[]; .id == $id) and .[0].type == "stats"
      and .[0].data.memory.usage.limit == 67108864 and .[-1].data.cpu.usage.total > 0 and .[0].data.pids.current == 1' events ||
      fail "$(cat events)"
  done
}

@test "a container that runs out of memory is killed, and its limit kept" {
  local manager
  for manager in "${managers[@]}"; do
    bundle '{"memory": {"limit": 16777216, "swap": 16777216}}' /bin/busybox tail /dev/zero
    run oci_with "$manager" run -b b "$id-$manager" </dev/null
    ((status == 137)) || fail "$manager: exit status $status"
  done
}

@test "events tell of a process that ran out of memory, and the container goes on" {
  local manager dir
  for manager in "${managers[@]}"; do
    sleeping '{"memory": {"limit": 16777216, "swap": 16777216}}'
    start_container "$manager"
    dir=$(folder "$id-$manager")
    oci events --interval 500ms "$id-$manager" >events 3>&- &
    wait_for 20 test -s events
    run oci exec "$id-$manager" /bin/busybox tail /dev/zero
    ((status == 137)) || fail "$manager: exit status $status"
    wait_for 20 grep -q '"oom"' events
    grep -q 'oom_kill 1' "$dir/memory.events"
    has_status "$id-$manager" running
    oci delete --force "$id-$manager"
    wait $!
    assert_gone "$manager" "$dir"
  done
}

@test "a device that is not allowed cannot be opened, one that is can" {
  is_root || skip "an ordinary user cannot give device rules"
  local manager disk rules
  disk=$(stat -c '%Hr %Lr' /dev/ubda)
  # As the machine's root, whom nothing else keeps from the disk.
  EDIT='del(.linux.uidMappings, .linux.gidMappings) | .linux.namespaces |= map(select(.type != "user"))
    | .mounts |= map(select(.type != "sysfs"))
    | .linux.devices = [{"type": "b", "path": "/dev/disk", "major": '"${disk% *}"', "minor": '"${disk#* }"', "fileMode": 384}]'
  for manager in "${managers[@]}"; do
    rules='{"allow": false, "access": "rwm"}'
    bundle "{\"devices\": [$rules]}" /bin/busybox head -c 1 /dev/disk
    run oci_with "$manager" run -b b "$id-$manager"
    assert_has "/dev/disk: Operation not permitted"
    rules+=", {\"allow\": true, \"type\": \"b\", \"major\": ${disk% *}, \"minor\": ${disk#* }, \"access\": \"r\"}"
    bundle "{\"devices\": [$rules]}" /bin/sh -c '/bin/busybox head -c 1 /dev/disk >/dev/null && echo read; : >/dev/disk'
    run oci_with "$manager" run -b b "$id-$manager"
    assert_has read
    assert_has "/dev/disk: Operation not permitted"
  done
}

@test "the container sees its own cgroup as the root, and may divide it where it is writable" {
  local manager
  for manager in "${managers[@]}"; do
    EDIT='.mounts += [{"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup", "options": ["nosuid", "noexec", "nodev", "rw"]}]
      | (if any(.linux.namespaces[]; .type == "cgroup") then . else .linux.namespaces += [{"type": "cgroup"}] end)' \
      bundle '{"memory": {"limit": 67108864}}' /bin/sh -c '/bin/busybox cat /proc/self/cgroup /sys/fs/cgroup/memory.max
        /bin/busybox mkdir /sys/fs/cgroup/below && echo $$ >/sys/fs/cgroup/below/cgroup.procs && /bin/busybox cat /proc/self/cgroup'
    run oci_with "$manager" run -b b "$id-$manager"
    assert_output $'0::/\n67108864\n0::/below'
  done
}

@test "the scope is there while the container is, and gone with it" {
  EDIT='.annotations = {"org.systemd.property.Documentation": "[\u0027https://moss.example/\u0027]"}' sleeping
  start_container systemd
  manager is-active "moss-$id-systemd.scope"
  is Documentation https://moss.example/ "$(property "moss-$id-systemd.scope" Documentation)"
  oci delete --force "$id-systemd"
  is LoadState not-found "$(property "moss-$id-systemd.scope" LoadState)"
}

@test "cgroupsPath names slice, prefix and scope" {
  local slice=moss-vm.slice
  EDIT=".linux.cgroupsPath = \"$slice:pre:$id\"" sleeping
  start_container systemd
  manager is-active "pre-$id.scope"
  [[ $(folder "$id-systemd") == */moss.slice/$slice/pre-$id.scope ]] || fail "$(folder "$id-systemd")"
  oci delete --force "$id-systemd"
  is LoadState not-found "$(property "pre-$id.scope" LoadState)"
  manager stop moss.slice
}

@test "cgroupsPath is a folder's path" {
  [[ $SESSION != session ]] || skip "nothing is delegated here"
  local dir
  EDIT=".linux.cgroupsPath = \"$id-above/$id-below\"" sleeping '{"pids": {"limit": 9}}'
  start_container cgroupfs
  dir=$(folder "$id-cgroupfs")
  [[ $dir == */$id-above/$id-below ]] || fail "$dir"
  is pids.max 9 "$(cat "$dir/pids.max")"
  oci delete --force "$id-cgroupfs"
  [[ ! -e ${dir%/*} ]] || fail "${dir%/*} is still there"
}

@test "a scope that somebody else stops is a stopped container" {
  bundle '{}' /bin/sh -c 'trap "exit 0" TERM; while :; do /bin/busybox sleep 0.1; done'
  start_container systemd
  manager stop "moss-$id-systemd.scope"
  wait_for 10 has_status "$id-systemd" stopped
  oci delete "$id-systemd"
}

@test "a create that is killed leaves nothing that delete --force does not clear" {
  local manager
  for manager in "${managers[@]}"; do
    sleeping '{"pids": {"limit": 9}}'
    local delay
    for delay in 0.02 0.05 0.1 0.2; do
      # shellcheck disable=SC2016 # for the inner shell
      timeout -s KILL "$delay" "$MOSS" oci --root "$BATS_TEST_TMPDIR/state" $([[ $manager != systemd ]] || echo --systemd-cgroup) \
        create -b b "$id-$manager" </dev/null >/dev/null 2>&1 || true
      oci delete --force "$id-$manager"
      wait_for 10 eval '[[ -z $(find /sys/fs/cgroup -type d -name "*$id-$manager*") ]]'
    done
  done
}

@test "ten containers at once get a cgroup each, and leave none" {
  local manager i pids=()
  for manager in "${managers[@]}"; do
    bundle '{"pids": {"limit": 9}}' /bin/busybox true
    pids=()
    for i in {1..10}; do
      oci_with "$manager" run -b b "$id-$manager-$i" </dev/null >/dev/null 2>>err 3>&- &
      pids+=($!)
    done
    for i in "${pids[@]}"; do wait "$i" || fail "$manager: $(cat err)"; done
  done
}

@test "in a cgroup that was given to a user with their process in it, as HTCondor does, a container without limits runs" {
  is_root || skip "only root can give one away"
  local given=/sys/fs/cgroup/moss-given-$$
  mkdir "$given"
  chown -R u1: "$given" "$BATS_TEST_TMPDIR"
  chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$BATS_TEST_TMPDIR" "$BATS_TEST_TMPDIR/.."
  as_given() {
    # shellcheck disable=SC2016 # for the inner shell
    sh -c 'echo $$ >"$1/cgroup.procs" && shift && exec setpriv --reuid=1000 --regid=1000 --clear-groups "$@"' sh "$given" \
      "$MOSS" oci --root "$BATS_TEST_TMPDIR/user" "$@"
  }
  for_user='.linux.uidMappings[0].hostID = 1000 | .linux.gidMappings[0].hostID = 1000'
  EDIT=$for_user bundle '{}' /bin/busybox cat /proc/self/cgroup
  run as_given run -b b "$id-given"
  assert_status 0
  EDIT=$for_user bundle '{"pids": {"limit": 9}}' /bin/busybox true
  run as_given run -b b "$id-given"
  ((status != 0))
  assert_has "it has processes in it"
  is "what the user's cgroup hands down" "" "$(cat "$given/cgroup.subtree_control")"
  rmdir "$given"
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
