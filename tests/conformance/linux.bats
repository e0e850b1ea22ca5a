# The runtime-spec's config-linux.md and runtime-linux.md.
# as: root user

load helpers

# Default filesystems: what a Linux program may count on; Default devices.
@test "the default devices are there and work" {
  runs 'for d in null zero full random urandom tty; do test -c /dev/$d || echo no $d; done; test -e /dev/ptmx || echo no ptmx
    echo x >/dev/null; head -c 2 /dev/zero | od -An -tx1; echo x >/dev/full; head -c 1 /dev/urandom | wc -c'
  refute_has "no "
  assert_has "00 00"
  assert_has "No space left"
}

# runtime-linux.md, Dev symbolic links: "the runtime MUST supply at least the following symlinks … after processing mounts".
@test "the links of /dev are there" {
  runs 'for l in fd stdin stdout stderr; do readlink /dev/$l; done'
  assert_output $'/proc/self/fd\n/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2'
}

# runtime-linux.md, File descriptors: only 0, 1 and 2 are open by default.
@test "no descriptor of the runtime's or the caller's is open inside" {
  program 'ls -l /proc/self/fd 2>/dev/null | grep -v " [0-3] ->" | grep -e "->"; echo end' # 3 is ls's own
  run oci run --bundle bundle "$id" 3>&- 4>&- 7</etc/passwd
  assert_output end
}

# Namespaces: "path … if not specified, the runtime MUST create a new container namespace"; a type not given is inherited.
@test "a namespace that is listed is new, one that is not is the caller's" {
  edit 'linux["namespaces"] = [n for n in linux["namespaces"] if n["type"] != "ipc"]'
  runs 'readlink /proc/self/ns/uts; readlink /proc/self/ns/ipc'
  [[ ${lines[0]} != "$(readlink /proc/self/ns/uts)" ]]
  [[ ${lines[1]} == "$(readlink /proc/self/ns/ipc)" ]]
}

# Namespaces: "the runtime MUST place the container process in the namespace associated with that path".
@test "a namespace with a path is joined" {
  edit 'c["hostname"] = "first"'
  create
  start
  local path="/proc/$(state_of pid)/ns" first=$id
  id+=-2
  NS=$path edit 'del c["hostname"]; [n.update(path=os.environ["NS"] + "/" + n["type"]) for n in linux["namespaces"] if n["type"] in ("uts", "user")]' \
    'linux.pop("uidMappings", None); linux.pop("gidMappings", None)'
  runs hostname
  assert_output first
  id=$first
}

# "path MUST be an absolute path"; "MUST generate an error if path is not associated with a namespace of type";
# "a duplicated namespace MUST generate an error".
@test "a namespace's path that is none, is of another type or is relative, and a type given twice, are errors" {
  edit '[n.update(path="/no/such/path") for n in linux["namespaces"] if n["type"] == "uts"]'
  refused
  write_config
  edit '[n.update(path="/proc/self/ns/net") for n in linux["namespaces"] if n["type"] == "uts"]'
  refused
  write_config
  edit '[n.update(path="proc/self/ns/uts") for n in linux["namespaces"] if n["type"] == "uts"]'
  refused
  write_config
  edit 'linux["namespaces"].append({"type": "uts"})'
  refused
  write_config
  edit 'linux["namespaces"].append({"type": "no-such-type"})'
  refused
}

# User namespace mappings.
@test "ids are mapped as the config says" {
  if ((EUID == 0)); then
    chmod 755 . "$BATS_TEST_TMPDIR"/.. 2>/dev/null || true
    edit 'linux["namespaces"].append({"type": "user"}); linux["uidMappings"] = [{"containerID": 0, "hostID": 0, "size": 1}, {"containerID": 1, "hostID": 300001, "size": 99}]' \
      'linux["gidMappings"] = linux["uidMappings"]'
    runs "tr -s ' ' </proc/self/uid_map"
    assert_output $' 0 0 1\n 1 300001 99'
  else
    runs "tr -s ' ' </proc/self/uid_map"
    assert_output " 0 $EUID 1"
  fi
}

# Devices: "type, path, major, minor, fileMode, uid, gid"; needs the right to make one.
@test "a device of the config is there with its mode and owner" {
  if ((EUID == 0)); then
    edit 'linux["devices"] = [{"path": "/dev/test", "type": "c", "major": 1, "minor": 5, "fileMode": 0o640, "uid": 7, "gid": 8}]'
    runs 'stat -c "%F %a %u %g %t:%T" /dev/test'
    assert_output "character special file 640 7 8 1:5"
  else
    edit 'linux["devices"] = [{"path": "/dev/zero2", "type": "c", "major": 1, "minor": 5}]'
    refused_or_there() {
      runs 'test -c /dev/zero2 && echo there'
      [[ $status -ne 0 || $output == there ]]
    }
    refused_or_there
  fi
}

# Cgroups path: absolute is relative to the mount point; resources: memory, cpu, pids.
@test "the cgroup is the one named, and has the limits" {
  ((EUID == 0)) || return 0 # an ordinary user has none here
  edit "linux['cgroupsPath'] = '/$id/sub'; linux['resources'] = {'memory': {'limit': 67108864}, 'pids': {'limit': 50}, 'cpu': {'quota': 50000, 'period': 100000, 'shares': 512}}"
  create
  local pid
  pid=$(state_of pid)
  [[ $(cat /proc/"$pid"/cgroup) == *"/$id/sub"* ]]
  [[ $(cat /sys/fs/cgroup/memory/"$id"/sub/memory.limit_in_bytes) == 67108864 ]]
  [[ $(cat /sys/fs/cgroup/pids/"$id"/sub/pids.max) == 50 ]]
  [[ $(cat /sys/fs/cgroup/cpu/"$id"/sub/cpu.cfs_quota_us) == 50000 ]]
  [[ $(cat /sys/fs/cgroup/cpu/"$id"/sub/cpu.shares) == 512 ]]
  oci delete --force "$id"
  run find /sys/fs/cgroup -type d -name sub -path "*$id*"
  assert_output ""
  find /sys/fs/cgroup -depth -type d -name "$id" -exec rmdir {} +
}

# Device allow list: "The runtime MUST apply entries in the listed order."
@test "the list of allowed devices holds, in its order" {
  ((EUID == 0)) || return 0 # an ordinary user has no such cgroup
  [[ -c /dev/net/tun ]] || skip "no /dev/net/tun"
  edit 'linux["devices"] = [{"path": "/dev/mine", "type": "c", "major": 10, "minor": 200}]' \
    'linux["resources"] = {"devices": [{"allow": False, "access": "rwm"}, {"allow": True, "type": "c", "major": 10, "minor": 200, "access": "rw"}, {"allow": False, "type": "c", "major": 10, "minor": 200, "access": "w"}]}'
  runs 'head -c 1 /dev/zero | wc -c; : </dev/mine && echo read; : >/dev/mine && echo written'
  assert_has read
  refute_has written
}

# Sysctl.
@test "kernel parameters are set" {
  edit 'linux["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.shmmni": "2000"}'
  runs 'cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/shmmni'
  assert_output $'1\n2000'
}

# Seccomp: "names … MUST contain at least one entry"; errno.
@test "a filter's verdicts are kept" {
  edit 'linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}'
  runs 'mkdir /x 2>&1; echo end'
  assert_has "No space left"
  assert_has end
}
# Neither crun 1.8 nor runc 1.1 does so.
@test "a filter's rule without a name is an error" {
  edit 'linux["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": [], "action": "SCMP_ACT_ERRNO"}]}'
  refused
}

# Masked and read-only paths: "MUST be absolute".
@test "masked paths look empty, read-only ones cannot be written" {
  mkdir bundle/rootfs/secret bundle/rootfs/fixed
  echo x | tee bundle/rootfs/secret/file bundle/rootfs/hidden >/dev/null
  edit 'linux["maskedPaths"] = ["/secret", "/hidden", "/no/such/path"]; linux["readonlyPaths"] = ["/fixed", "/no/such/path"]'
  runs 'ls /secret; cat /hidden; touch /fixed/x 2>/dev/null || echo refused'
  assert_output refused
}

# Rootfs mount propagation: "slave, private, shared or unbindable".
@test "the root's propagation is that of the config" {
  edit 'linux["rootfsPropagation"] = "private"'
  runs 'grep " / / \| / " /proc/self/mountinfo | head -n 1 | grep -c "shared\|master"; echo end'
  assert_output $'0\nend'
  edit 'linux["rootfsPropagation"] = "nonsense"'
  refused
}

# IntelRdt: "If intelRdt is set and resctrl is not mounted, the runtime MUST generate an error."
@test "cache allocation where there is none is an error" {
  ! grep -q resctrl /proc/self/mounts || return 0
  edit 'linux["intelRdt"] = {"closID": "x", "l3CacheSchema": "L3:0=ff"}'
  refused
}
