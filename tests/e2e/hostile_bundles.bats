# `moss oci run` of bundles that strangers wrote: each is refused or harmless, at once, and changes no file of the host.
# speed: slow

load helpers

setup_file() { :; } # no image is needed

# A bundle that runs true, as this user with one id, and a victim beside it.
setup() {
  use_home "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR" || return
  mkdir bundle
  make_rootfs bundle/rootfs
  make_victim victim
  victim_before=$(picture_of victim)
}

# Writes bundle/config.json: the default one with a piece of Python in which `c` is the config.
config() {
  python3 - "$1" "$(id -u)" "$(id -g)" "$PWD" >bundle/config.json <<'PYTHON'
import json, sys
edit, uid, gid, here = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
victim = here + "/victim"
c = {
    "ociVersion": "1.2.0",
    "root": {"path": "rootfs"},
    "process": {"cwd": "/", "args": ["true"], "env": ["PATH=/bin:/usr/bin"], "user": {"uid": 0, "gid": 0}},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": ["nosuid", "noexec", "nodev", "ro"]},
    ],
    "linux": {
        "namespaces": [{"type": t} for t in ["user", "mount", "pid", "network", "ipc", "uts", "cgroup"]],
        "uidMappings": [{"containerID": 0, "hostID": uid, "size": 1}],
        "gidMappings": [{"containerID": 0, "hostID": gid, "size": 1}],
        "maskedPaths": ["/proc/kcore", "/proc/keys"],
        "readonlyPaths": ["/proc/sys"],
    },
}
exec(edit)
json.dump(c, sys.stdout)
PYTHON
}

run_bundle() {
  run timeout 60 "$MOSS" oci run -b bundle x
  ((status != 124)) || fail "took longer than 5 s: ${1-}"
  [[ $(picture_of victim) == "$victim_before" ]] || fail "the victim was changed by: ${1-}"
}

# The bundle with edit $1 is refused, in one line that has $2.
refused() {
  config "$1"
  run_bundle "$1"
  assert_status 1
  ((${#lines[@]} == 1)) || fail "expected one line, got:" "$output"
  assert_has "$2"
}

# It may run or not.
harmless() {
  config "$1"
  run_bundle "$1"
}

runs() {
  harmless "$1"
  assert_success
}

@test "the bundle itself runs" {
  runs ''
}

@test "destinations of mounts stay below the root" {
  refused 'c["mounts"].append({"destination": "/../../x", "type": "tmpfs"})' 'has ".."'
  refused 'c["mounts"].append({"destination": "/", "type": "bind", "source": victim, "options": ["rbind"]})' \
    'mounts: a bind mount over /'
  runs 'c["mounts"].append({"destination": "x/y", "type": "tmpfs"})'
  ln -s "$PWD/victim" bundle/rootfs/away
  ln -s ../../../../../../../.. bundle/rootfs/up
  harmless 'c["mounts"].append({"destination": "/away/new", "type": "tmpfs"})'
  harmless 'c["mounts"].append({"destination": "/up/" + victim + "/new", "type": "tmpfs"})'
  harmless 'c["mounts"].append({"destination": "/away/file", "type": "bind", "source": "/dev/null", "options": ["bind"]})'
  harmless 'c["mounts"].append({"destination": "/proc", "type": "tmpfs"})'
  harmless 'c["mounts"].append({"destination": "/proc/1", "type": "tmpfs"})'
}

@test "a million mounts end in an error" {
  config 'c["mounts"] += [{"destination": "/m", "type": "tmpfs"}] * 1000000'
  run timeout 60 "$MOSS" oci run -b bundle x
  assert_status 1
}

@test "masked and read-only paths may be anything in the root" {
  ln -s "$PWD/victim" bundle/rootfs/link
  ln -s /proc/sys/kernel/core_pattern bundle/rootfs/core
  harmless 'c["linux"]["maskedPaths"] += ["/link", "/link/file", "/core", "/etc", "/nothere/x", "/proc/self/fd/0"]'
  harmless 'c["linux"]["readonlyPaths"] += ["/link", "/link/file", "/core", "/", "/dev/null"]'
  refused 'c["linux"]["maskedPaths"] += ["proc/kcore"]' 'not absolute: proc/kcore'
}

@test "a null device that is none is not what masks" { # CVE-2025-31133
  mkdir bundle/dev && ln -s /proc/sys/kernel/core_pattern bundle/dev/null
  harmless 'c["mounts"][1] = {"destination": "/dev", "type": "bind", "source": "dev", "options": ["rbind"]}
c["process"]["args"] = ["cat", "/proc/keys"]'
  assert_success
  assert_output ""
}

@test "links in place of /dev, /proc, /sys and /run lead nowhere" { # CVE-2026-41579, CVE-2019-19921, CVE-2023-27561
  local folder
  for folder in dev proc sys run; do
    rm -rf "bundle/rootfs/${folder:?}"
    ln -s "$PWD/victim/dir" "bundle/rootfs/$folder"
    harmless ''
    harmless 'c["mounts"] = []'
    harmless 'c["mounts"] = []
c["process"]["cwd"] = "/dev/new"
c["linux"]["devices"] = [{"type": "p", "path": "/dev/pipe"}]'
    rm "bundle/rootfs/$folder"
    mkdir "bundle/rootfs/$folder"
  done
}

@test "chains of links and paths longer than there are" {
  local i
  ln -s "$PWD/victim" bundle/rootfs/l0
  for i in {1..45}; do ln -s "l$((i - 1))" "bundle/rootfs/l$i"; done
  harmless 'c["mounts"].append({"destination": "/l39/x", "type": "tmpfs"})'
  harmless 'c["mounts"].append({"destination": "/l45/x", "type": "tmpfs"})'
  harmless 'c["mounts"].append({"destination": "/a" * 4000, "type": "tmpfs"})'
  harmless 'c["linux"]["maskedPaths"] = ["/a" * 4000]'
}

@test "the root is a folder, but not the host's" {
  refused 'c["root"]["path"] = "/"' "is the host's own root"
  refused 'c["root"]["path"] = "/proc/self/root/"' 'for the root: '
  ln -s ../victim bundle/link
  refused 'c["root"]["path"] = "link/"' 'for the root: not a directory'
  refused 'c["root"]["path"] = "nothere"' 'for the root: no such file or directory'
  refused 'c["root"]["path"] = "config.json"' 'for the root: not a directory'
}

@test "a working folder is one inside" { # CVE-2024-21626
  local n
  refused 'c["process"]["cwd"] = "x"' 'process.cwd: not absolute: x'
  for n in {3..12}; do
    harmless "c['process']['cwd'] = '/proc/self/fd/$n'
c['process']['args'] = ['cat', '../../../../../../../../../../../..' + victim + '/file']"
    refute_has precious
  done
}

@test "what is wrong is refused with its place" {
  refused 'c["process"]["args"] = []' 'process.args: no command given'
  refused 'c["hooks"] = {"poststop": [{"path": "bin/x"}]}' 'hooks.poststop[0].path: not absolute: bin/x'
  refused 'c["linux"]["uidMappings"] *= 2' 'linux.uidMappings[1]: overlaps [0]'
  refused 'c["linux"]["uidMappings"][0]["size"] = 0' 'linux.uidMappings[0].size'
  refused 'c["linux"]["uidMappings"] *= 65000' 'linux.uidMappings: more than 340 ranges'
  refused 'c["process"]["rlimits"] = [{"type": "RLIMIT_CORE", "hard": 1, "soft": 1}] * 2' \
    'process.rlimits[1]: a second RLIMIT_CORE'
  refused 'c["process"]["rlimits"] = [{"type": "RLIMIT_CORE", "hard": 2**64, "soft": 1}]' 'process.rlimits[0].hard'
  refused 'c["linux"]["sysctl"] = {"kernel.core_pattern": "|/x"}' 'belongs to the whole host'
  refused 'c["linux"]["sysctl"] = {"net/../kernel/core_pattern": "|/x"}' 'bad key or value'
  refused 'c["linux"]["sysctl"] = {"kernel.shm_rmid_forced": "1\nkernel.core_pattern=|/x"}' 'bad key or value'
  refused 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_FUN"}' 'unknown action'
  refused 'c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_FUN"]}' \
    'unknown architecture'
  refused 'c["linux"]["namespaces"].append({"type": "pid"})' 'a second pid'
  refused 'c["linux"]["namespaces"][3]["path"] = "/proc/self/ns/uts"' 'is a uts namespace, not a network one'
  refused 'c["linux"]["namespaces"][3]["path"] = "/dev/zero"' 'is no namespace'
}

@test "more environment than the kernel takes is an error" {
  harmless 'c["process"]["env"] += ["X=" + "x" * 131000] * 100'
  assert_status 126
  assert_has 'argument list too long'
}

@test "names and paths of 70 KiB are not cut" { # CVE-2021-43784
  refused 'c["linux"]["namespaces"][3]["path"] = "/" + "x" * 70000' 'file name too long'
  refused 'c["hostname"] = "h" * 70000' 'hostname: longer than 64 bytes'
}
