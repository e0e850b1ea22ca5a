"""Holds what `moss oci features` claims against what `moss oci run` does: check_features.py MOSS ROOTFS CLAIM.

A claim that nothing here tries is a failure, so that none is made without a test. Run in an empty folder.
"""

import json
import os
import re
import signal
import subprocess
import sys

MOSS, ROOTFS, CLAIM = sys.argv[1:]
ROOT = os.geteuid() == 0
FEATURES = json.loads(subprocess.check_output([MOSS, "oci", "features"]))
LINUX = FEATURES["linux"]


def config(script):
    """A config that runs `script` in a user namespace of one id."""
    ids = [[{"containerID": 0, "hostID": host, "size": 1}] for host in (os.geteuid(), os.getegid())]
    return {
        "ociVersion": FEATURES["ociVersionMax"],
        "root": {"path": ROOTFS},
        "process": {
            "args": ["sh", "-c", script],
            "env": ["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "user": {"uid": 0, "gid": 0},
        },
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc"}],
        "linux": {
            "namespaces": [{"type": name} for name in ("user", "mount", "pid", "network", "ipc", "uts")],
            "uidMappings": ids[0],
            "gidMappings": ids[1],
        },
    }


def without_user_namespace(c):
    c["linux"]["namespaces"] = [n for n in c["linux"]["namespaces"] if n["type"] != "user"]
    del c["linux"]["uidMappings"], c["linux"]["gidMappings"]
    return c


def run(c, *before):
    with open("config.json", "w") as file:
        json.dump(c, file)
    command = [*before, MOSS, "oci", "--root", os.path.abspath("state"), "run", "x"]
    return subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=20)


def output(c, *before):
    done = run(c, *before)
    assert done.returncode == 0, (done.returncode, done.stdout, done.stderr)
    return done.stdout


def all_tried(claimed, tried):
    assert set(claimed) == set(tried), f"claimed and not tried, or the other way round: {set(claimed) ^ set(tried)}"


def namespaces():
    files = {"network": "net", "mount": "mnt"}
    claimed = LINUX["namespaces"]
    c = config("for n in $(ls /proc/self/ns); do echo $n $(readlink /proc/self/ns/$n); done")
    c["linux"]["namespaces"] = [{"type": name} for name in claimed]
    inside = dict(line.split() for line in output(c).splitlines())
    for name in claimed:
        file = files.get(name, name)
        assert inside[file] != os.readlink(f"/proc/self/ns/{file}"), f"{name}: shared with the host"
    all_tried(claimed, ["cgroup", "ipc", "mount", "network", "pid", "time", "user", "uts"])


def hooks():
    c = config("echo workload >>/log")
    log = os.path.join(ROOTFS, "log")
    for kind in FEATURES["hooks"]:
        where = "/log" if kind == "startContainer" else log
        c.setdefault("hooks", {})[kind] = [{"path": "/bin/sh", "args": ["sh", "-c", f"echo {kind} >>{where}"]}]
    output(c)
    with open(log) as file:
        order = file.read().split()
    os.unlink(log)
    assert sorted(order) == sorted(FEATURES["hooks"] + ["workload"]), order
    assert order[:4] == ["prestart", "createRuntime", "createContainer", "startContainer"], order
    assert order[-1] == "poststop", order


# What an option is tried with, and what /proc/self/mountinfo says then. A mount's own options stand before the dash,
# its filesystem's behind it.
MOUNT = {
    "ro": ("ro", None), "nosuid": ("nosuid", None), "nodev": ("nodev", None), "noexec": ("noexec", None),
    "noatime": ("noatime", None), "nodiratime": ("nodiratime", None), "nosymfollow": ("nosymfollow", None),
    "relatime": ("relatime", None), "atime": ("relatime", "noatime"), "strictatime": (None, "relatime"),
    "norelatime": (None, "relatime"), "nostrictatime": ("relatime", None),
    "rw": ("rw", "ro"), "suid": (None, "nosuid"), "dev": (None, "nodev"), "exec": (None, "noexec"),
    "diratime": (None, "nodiratime"), "symfollow": (None, "nosymfollow"),
}  # fmt: skip
OPPOSITE = {
    "rw": "ro", "suid": "nosuid", "dev": "nodev", "exec": "noexec", "diratime": "nodiratime",
    "symfollow": "nosymfollow", "atime": "noatime", "strictatime": "noatime", "relatime": "noatime",
    "nostrictatime": "noatime", "norelatime": "noatime",
}  # fmt: skip
SUPERBLOCK = {"sync": "sync", "dirsync": "dirsync", "lazytime": "lazytime"}
# The kernel takes these and shows nothing: it knows no mandatory locks any more, or they say what is so anyhow.
SILENT = ["defaults", "loud", "silent", "async", "iversion", "mand", "nomand", "noiversion", "nolazytime"]
PROPAGATION = {"private": "", "slave": "master:", "shared": "shared:", "unbindable": "unbindable"}


def tries_bind(name):
    # In another user namespace the kernel locks the times of what it copies.
    return ROOT or "time" not in name


def mount_options():
    os.makedirs("tree/below")
    open("tree/file", "w").close()
    tree, tried = os.path.abspath("tree"), []
    # In another user namespace what is mounted below a folder cannot be left out.
    plain = tree if ROOT else os.path.abspath("plain")
    os.makedirs(plain, exist_ok=True)
    c = config("cat /proc/self/mountinfo; ls /up; cat /up/word")
    if ROOT:
        without_user_namespace(c)
    mounts = c["mounts"]
    os.makedirs(os.path.join(ROOTFS, "up"), exist_ok=True)
    with open(os.path.join(ROOTFS, "up/word"), "w") as file:
        file.write("copied\n")

    def add(name, kind, options, source=tree):
        tried.append(name)
        source = source if kind == "bind" else kind
        mount = {"destination": f"/m/{name}", "type": kind, "source": source, "options": options}
        mounts.append(mount)

    for name in MOUNT:
        add(name, "tmpfs", [OPPOSITE[name], name] if name in OPPOSITE else [name])
        # On a bind of a tree in which something is mounted, everywhere.
        kind = ["rbind"] if tries_bind(name) else []
        opposite = ["r" + OPPOSITE[name]] if name in OPPOSITE else []
        add("r" + name, "bind" if kind else "tmpfs", kind + opposite + ["r" + name])
    for name in [*SUPERBLOCK, *SILENT]:
        add(name, "tmpfs", [name])
    for name in PROPAGATION:
        add(name, "bind", ["bind", name], plain)
        add("r" + name, "bind", ["rbind", "r" + name])
    add("bind", "bind", ["bind"], plain)
    add("rbind", "bind", ["rbind"])
    mounts.append({"destination": "/up", "type": "tmpfs", "source": "tmpfs", "options": ["tmpcopyup"]})
    mounts.append({"destination": "/m/bind", "type": "bind", "source": plain, "options": ["remount", "bind", "ro"]})
    tried += ["tmpcopyup", "remount"]
    # Something below the tree, and the tree shared, in a mount namespace of our own.
    done = output(c, "unshare", *([] if ROOT else ["--user", "--map-current-user", "--keep-caps"]), "--mount", "sh", "-c",
                  f'for d in {tree} {plain}; do mount --bind $d $d; done; mount -t tmpfs none {tree}/below && '
                  f'mount --make-rshared {tree} && mount --make-rshared {plain} && exec "$@"', "sh")  # fmt: skip
    lines = [line.split() for line in done.splitlines() if " - " in line]
    at = {line[4]: line for line in lines}

    def own(line):
        return line[5].split(",")

    for name, (has, lacks) in MOUNT.items():
        for place in [f"/m/{name}", f"/m/r{name}", *([f"/m/r{name}/below"] if tries_bind(name) else [])]:
            options = own(at[place])
            # What the caller's namespace locked stays: then there is no opposite to take back.
            assert has is None or has in options, (place, options)
            assert lacks is None or lacks not in options, (place, options)
    for name, word in SUPERBLOCK.items():
        line = at[f"/m/{name}"]
        shown = line[line.index("-") + 3].split(",") + own(line)
        assert word in shown, (name, line)
    for name, word in PROPAGATION.items():
        for place in (f"/m/{name}", f"/m/r{name}"):
            line = at[place]
            fields = line[6 : line.index("-")]
            # In a user namespace of its own a copy of a shared mount can only listen to it.
            wanted = "master:" if name == "shared" and not ROOT else word
            assert any(f.startswith(wanted) for f in fields) if wanted else not fields, (place, line)
    assert "ro" in own(at["/m/bind"]) and "/m/bind/below" not in at, at["/m/bind"]
    assert "/m/rbind/below" in at
    assert "copied" in done and at["/up"][at["/up"].index("-") + 1] == "tmpfs"
    idmapped = ["idmap", "ridmap"]
    all_tried(FEATURES["mountOptions"], [t for t in tried] + idmapped)
    assert LINUX["mountExtensions"]["idmap"]["enabled"]
    for name in idmapped:
        idmap(name)


def idmap(name):
    os.makedirs("owned", exist_ok=True)
    c = config("stat -c %u:%g /m")
    mapping = [{"containerID": os.geteuid(), "hostID": os.geteuid(), "size": 1}]
    mount = {"destination": "/m", "type": "bind", "source": os.path.abspath("owned"), "options": ["rbind", name]}
    c["mounts"].append(mount)
    if not ROOT:
        # The kernel lets only the filesystem's owner do it; what matters is that it is not left out.
        done = run(c)
        assert done.returncode == 1 and "mounts[1]: " in done.stderr, done
        return
    os.chown("owned", 7, 7)
    without_user_namespace(c)
    mapping = [{"containerID": 7, "hostID": 1234, "size": 1}]
    mount["uidMappings"] = mount["gidMappings"] = mapping
    assert output(c) == "1234:1234\n"
    del mount["uidMappings"], mount["gidMappings"]
    mount["options"][1] = f"{name}=uids=7-55-1;gids=7-56-1"
    assert output(c) == "55:56\n"


def capabilities():
    with open("/usr/include/linux/capability.h") as file:
        numbers = {name: int(n) for name, n in re.findall(r"^#define (CAP_\w+)\s+(\d+)$", file.read(), re.M)}
    with open("/proc/sys/kernel/cap_last_cap") as file:
        last = int(file.read())
    names = LINUX["capabilities"]
    all_tried(names, numbers)
    c = config("sed -n 's/^Cap\\(Prm\\|Eff\\|Bnd\\):\\t//p' /proc/self/status")
    for asked in (names, names[::2], names[1::2]):
        c["process"]["capabilities"] = {kind: asked for kind in ("bounding", "effective", "permitted")}
        mask = sum(1 << numbers[name] for name in asked if numbers[name] <= last)
        assert [int(line, 16) for line in output(c).split()] == [mask] * 3, asked


def cgroup():
    claimed = LINUX["cgroup"]
    all_tried(claimed, ["v1", "v2", "systemd", "systemdUser", "rdma"])
    assert all(claimed.values())
    c = config("cat /proc/self/cgroup")
    c["linux"]["resources"] = {"rdma": {"mlx5_1": {"hcaHandles": 3}}}
    done = run(c)
    # Kept, or refused by its name: never left out. Version 2 and systemd are tried where there are some, in the guest.
    assert done.returncode == 0 or "rdma" in done.stderr, done
    if not ROOT or not os.path.isdir("/sys/fs/cgroup/pids"):
        return
    name = f"/moss-features-{os.getpid()}"
    c["linux"]["cgroupsPath"] = name
    c["linux"]["resources"] = {"pids": {"limit": 17}}
    c["mounts"].append({"destination": "/c", "type": "bind", "source": "/sys/fs/cgroup/pids", "options": ["rbind"]})
    c["process"]["args"][2] = f"cat /c{name}/pids.max; cat /proc/self/cgroup"
    lines = output(c).splitlines()
    assert lines[0] == "17" and any(line.endswith(f":pids:{name}") for line in lines), lines


def mkdir_rules(action, **more):
    rules = [{"names": [call], "action": action, **more} for call in ("mkdir", "mkdirat")]
    return {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}


def seccomp_actions():
    killed = {128 + signal.SIGSYS}
    results = {
        "SCMP_ACT_KILL": killed, "SCMP_ACT_KILL_THREAD": killed, "SCMP_ACT_KILL_PROCESS": killed, "SCMP_ACT_TRAP": killed,
        "SCMP_ACT_ERRNO": {1}, "SCMP_ACT_TRACE": {1}, "SCMP_ACT_LOG": {0}, "SCMP_ACT_ALLOW": {0}, "SCMP_ACT_NOTIFY": {1},
    }  # fmt: skip
    all_tried(LINUX["seccomp"]["actions"], results)
    assert LINUX["seccomp"]["enabled"]
    for action, codes in results.items():
        c = config("exec mkdir /made")
        c["linux"]["seccomp"] = mkdir_rules(action)
        done = run(c)
        made = os.path.isdir(os.path.join(ROOTFS, "made"))
        if made:
            os.rmdir(os.path.join(ROOTFS, "made"))
        assert done.returncode in codes and made == (codes == {0}), (action, done, made)
        if action == "SCMP_ACT_NOTIFY":
            assert "listenerPath" in done.stderr, done  # with one it is tried in oci_seccomp.bats
        if action in ("SCMP_ACT_ERRNO", "SCMP_ACT_TRACE"):
            assert ("not permitted" if action.endswith("ERRNO") else "not implemented") in done.stderr, done


def seccomp_operators():
    # mkdir(1) asks for mode 0777: for each operator an operand that this meets, and one that it does not.
    operands = {"NE": (0, 511), "LT": (512, 511), "LE": (511, 510), "EQ": (511, 510), "GE": (511, 512), "GT": (510, 511)}
    cases = {f"SCMP_CMP_{name}": pair for name, pair in operands.items()}
    cases["SCMP_CMP_MASKED_EQ"] = (0o700, 0o100)
    all_tried(LINUX["seccomp"]["operators"], cases)
    for operator, values in cases.items():
        for value, wanted in zip(values, (1, 0)):
            rules = []
            for call, index in (("mkdir", 1), ("mkdirat", 2)):
                argument = {"index": index, "value": value, "op": operator}
                if operator.endswith("MASKED_EQ"):
                    argument.update(value=0o700, valueTwo=value)
                rules.append({"names": [call], "action": "SCMP_ACT_ERRNO", "args": [argument]})
            c = config("umask 0; mkdir /made 2>/dev/null || exit 1; rmdir /made")
            c["linux"]["seccomp"] = {"defaultAction": "SCMP_ACT_ALLOW", "syscalls": rules}
            done = run(c)
            assert done.returncode == wanted, (operator, value, done)


def seccomp_archs():
    for arch in LINUX["seccomp"]["archs"]:
        c = config("mkdir /made 2>/dev/null && rmdir /made; echo ran")
        c["linux"]["seccomp"] = mkdir_rules("SCMP_ACT_ERRNO") | {"architectures": [arch]}
        done = run(c)
        # One that is not this machine's takes every call from it.
        assert "linux.seccomp" not in done.stderr, (arch, done)
    c["linux"]["seccomp"]["architectures"] = ["SCMP_ARCH_NONE"]
    assert "linux.seccomp" in run(c).stderr


def seccomp_flags():
    seccomp = LINUX["seccomp"]
    assert set(seccomp["supportedFlags"]) <= set(seccomp["knownFlags"])
    for flag in seccomp["knownFlags"]:
        c = config("mkdir /made 2>/dev/null || echo refused")
        c["linux"]["seccomp"] = mkdir_rules("SCMP_ACT_ERRNO") | {"flags": [flag]}
        done = run(c)
        if flag == "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV":
            # Only with a listener, with which it is tried in oci_seccomp.bats.
            assert done.returncode == 1 and "needs a rule with SCMP_ACT_NOTIFY" in done.stderr, done
        elif flag in seccomp["supportedFlags"]:
            assert done.stdout == "refused\n", (flag, done)
        else:
            assert done.returncode == 1 and flag in done.stderr, (flag, done)
    c["linux"]["seccomp"]["flags"] = ["SECCOMP_FILTER_FLAG_NONE"]
    assert "SECCOMP_FILTER_FLAG_NONE" in run(c).stderr


def memory_policy():
    shown = {
        "MPOL_DEFAULT": "default", "MPOL_BIND": "bind", "MPOL_INTERLEAVE": "interleave", "MPOL_PREFERRED": "prefer",
        "MPOL_WEIGHTED_INTERLEAVE": "weighted interleave", "MPOL_PREFERRED_MANY": "prefer (many)", "MPOL_LOCAL": "local",
    }  # fmt: skip
    flags = {"MPOL_F_STATIC_NODES": "=static", "MPOL_F_RELATIVE_NODES": "=relative", "MPOL_F_NUMA_BALANCING": "=balancing"}
    claimed = LINUX["memoryPolicy"]
    all_tried(claimed["modes"], shown)
    all_tried(claimed["flags"], flags)
    # The process's own policy, as get_mempolicy(2) would tell: numa_maps shows it for what has none of its own.
    c = config("cat /proc/self/numa_maps")
    numa = os.path.exists("/proc/self/numa_maps")
    for mode, word in shown.items():
        nodes = {} if mode in ("MPOL_DEFAULT", "MPOL_LOCAL") else {"nodes": "0"}
        c["linux"]["memoryPolicy"] = {"mode": mode, **nodes}
        done = run(c)
        check_policy(numa, done, word)
    for flag, word in flags.items():
        c["linux"]["memoryPolicy"] = {"mode": "MPOL_BIND", "nodes": "0", "flags": [flag]}
        check_policy(numa, run(c), "bind" + word)


def check_policy(numa, done, word):
    if not numa:
        # A kernel without NUMA: it must say so, or know it from the call.
        assert done.returncode == 0 or "memory policy" in done.stderr, done
        return
    assert done.returncode == 0 and f" {word}" in done.stdout, (word, done)


def devices_and_confinement():
    """netDevices, intelRdt, apparmor, selinux: applied, or refused by name where the host has none."""
    c = config("true")
    c["linux"]["intelRdt"] = {"closID": "x", "schemata": ["L3:0=ff"]}
    assert LINUX["intelRdt"]["enabled"]
    done = run(c)
    assert done.returncode == 0 or "linux.intelRdt: " in done.stderr, done

    c = config("true")
    c["process"]["apparmorProfile"] = "unconfined"
    assert not LINUX["apparmor"]["enabled"] or run(c).returncode == 0
    c["process"]["apparmorProfile"] = "moss-no-such-profile"
    done = run(c)
    assert done.returncode == 1 and "attr" in done.stderr, done

    c = config("true")
    c["process"]["selinuxLabel"] = "a:b:c:d"
    done = run(c)
    assert done.returncode == 1 and (LINUX["selinux"]["enabled"] or "SELinux" in done.stderr), done

    assert LINUX["netDevices"]["enabled"]
    c = config("ls /sys/class/net; cat /sys/class/net/inside/operstate 2>/dev/null")
    c["mounts"].append({"destination": "/sys", "type": "sysfs", "source": "sysfs"})
    c["linux"]["netDevices"] = {"moss-no-such": {}}
    done = run(c)
    assert done.returncode == 1 and "moss-no-such" in done.stderr, done
    c["linux"]["netDevices"] = {"lo-copy": {"name": "inside"}}
    own = ["unshare", *([] if ROOT else ["--user", "--map-root-user"]), "--net"]
    if not ROOT:
        c["linux"]["uidMappings"][0]["hostID"] = c["linux"]["gidMappings"][0]["hostID"] = 0
    made = 'ip link add lo-copy type veth peer name other && exec "$@"'
    done = output(c, *own, "sh", "-c", made, "sh")
    assert "inside" in done.split(), done


globals()[CLAIM]()
