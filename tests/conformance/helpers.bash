# shellcheck shell=bash
# What the tests of the runtime-spec's promises start from: `load helpers`.
#
# They run on any runtime: OCI_RUNTIME=/usr/sbin/runc bats FILE (default: the moss-oci that was built). Each is one MUST of
# the spec, whose section its comment names. A test has a bundle, made anew: as root one with root's own ids, for an ordinary
# user one in a user namespace where the user is root. `edit 'PYTHON'` changes its config, which is called c there.

load ../e2e/helpers

: "${OCI_RUNTIME:=$repo/build/moss-oci}"

setup_file() {
  mkdir "$BATS_FILE_TMPDIR/rootfs"
  tar -xzf "$(rootfs_tarball)" -C "$BATS_FILE_TMPDIR/rootfs" --no-same-owner --exclude='./dev/*'
}
teardown_file() { :; }

setup() {
  cd "$BATS_TEST_TMPDIR" || return
  export XDG_RUNTIME_DIR=$PWD/run
  mkdir -m 700 run
  mkdir bundle
  cp -a "$BATS_FILE_TMPDIR/rootfs" bundle/rootfs
  id=spec-$BASHPID-$BATS_TEST_NUMBER
  write_config
}
teardown() {
  oci delete --force "$id" >/dev/null 2>&1 || true
  oci delete --force "$id-2" >/dev/null 2>&1 || true
  [[ -z $(awk -v t="$BATS_TEST_TMPDIR/" 'index($2, t) == 1' /proc/self/mounts) ]] || fail "mounts are left"
}

oci() { "$OCI_RUNTIME" --root "$BATS_TEST_TMPDIR/state" "$@"; }

write_config() {
  python3 - <<'END' >bundle/config.json
import json, os
caps = ["CAP_" + c for c in "AUDIT_WRITE CHOWN DAC_OVERRIDE FOWNER KILL NET_BIND_SERVICE SETGID SETUID SYS_CHROOT".split()]
quiet = ["nosuid", "noexec", "nodev"]
config = {
    "ociVersion": "1.0.2",
    "process": {"user": {"uid": 0, "gid": 0}, "args": ["sleep", "100"], "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"], "cwd": "/",
                "capabilities": {s: caps for s in ("bounding", "effective", "permitted")}},
    "root": {"path": "rootfs"},
    "mounts": [
        {"destination": "/proc", "type": "proc", "source": "proc"},
        {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
        {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
        {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": quiet + ["mode=1777", "size=65536k"]},
        {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": quiet + ["ro"]},
    ],
    "linux": {"namespaces": [{"type": t} for t in ("pid", "ipc", "uts", "mount", "network")]},
}
if os.getuid():
    config["linux"]["namespaces"].append({"type": "user"})
    config["linux"]["uidMappings"] = [{"containerID": 0, "hostID": os.getuid(), "size": 1}]
    config["linux"]["gidMappings"] = [{"containerID": 0, "hostID": os.getgid(), "size": 1}]
json.dump(config, __import__("sys").stdout)
END
}
# Changes the bundle's config by a Python statement about c.
edit() {
  python3 - "$@" <<'END'
import json, os, sys
c = json.load(open("bundle/config.json"))
process, linux = c["process"], c["linux"]
for statement in sys.argv[1:]:
    exec(statement)
json.dump(c, open("bundle/config.json", "w"))
END
}
# The container's program is this shell text.
program() { PROGRAM=$1 edit 'process["args"] = ["sh", "-c", os.environ["PROGRAM"]]'; }

# create; the container's output is in the file out, the runtime's complaints are there too.
create() { oci create --bundle bundle --pid-file "$PWD/pid" "$@" "$id" >out 2>&1 </dev/null 3>&- 4>&-; }
start() { oci start "$id"; }
# The whole life of a container with this program; its output and exit code are for assert_….
runs() {
  program "$1"
  run oci run --bundle bundle "$id" </dev/null 3>&- 4>&-
}
state_of() { oci state "$id" | python3 -c "import json, sys; print(json.load(sys.stdin)['$1'])"; }
is_status() { [[ $(state_of status) == "$1" ]]; }

# The runtime refuses to make this container, with an error, and no container is there afterwards.
refused() {
  run create
  ((status != 0)) || fail "a container was created"
  [[ -s out ]] || fail "no complaint"
  run oci state "$id"
  ((status != 0)) || fail "it complained, but the container is there"
}
