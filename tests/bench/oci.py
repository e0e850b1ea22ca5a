"""The OCI runtimes beside each other on the same bundle, interleaved: moss-oci, crun and runc. Used by bench.py.

The bundle maps the caller's own id and no other, so that no helper is waited for, and has what an engine gives a container:
mounts, masked paths, capabilities; once more with a seccomp filter of the size of Docker's. Cgroups are nobody's to give
here, and none is asked for.
"""
import json
import os
import shutil
import statistics
import subprocess
import time

FLAGS = ["nosuid", "noexec", "nodev"]
CAPABILITIES = [f"CAP_{c}" for c in "CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT".split()]


def filter_of(profile):
    """The filter that an engine would write into config.json for its profile on this machine."""
    with open(profile) as file:
        policy = json.load(file)
    here = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, "")
    rules = []
    for rule in policy["syscalls"]:
        wanted = rule.get("includes", {})
        if wanted.get("caps") or wanted.get("minKernel") or here not in wanted.get("arches", [here]):
            continue  # the container has none of the capabilities that add to the list
        rules.append({key: rule[key] for key in ("names", "action", "args", "errnoRet") if rule.get(key)})
    return {"defaultAction": policy["defaultAction"], "defaultErrnoRet": policy.get("defaultErrnoRet", 1),
            "architectures": ["SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"] if os.uname().machine == "x86_64" else [],
            "syscalls": rules}


def write_bundle(folder, rootfs, seccomp=None):
    config = {
        "ociVersion": "1.0.2",
        "process": {"user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "cwd": "/", "env": ["PATH=/usr/bin:/bin"], "noNewPrivileges": True,
                    "capabilities": {s: CAPABILITIES for s in ("bounding", "effective", "permitted")}},
        "root": {"path": rootfs},
        "hostname": "bench",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": FLAGS},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": FLAGS + ["mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": FLAGS},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": FLAGS + ["ro"]},
        ],
        "linux": {
            "uidMappings": [{"containerID": 0, "hostID": os.getuid(), "size": 1}],
            "gidMappings": [{"containerID": 0, "hostID": os.getgid(), "size": 1}],
            "namespaces": [{"type": t} for t in ("user", "mount", "pid", "ipc", "uts", "network")],
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                            "/proc/sched_debug", "/proc/scsi", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }
    if seccomp:
        config["linux"]["seccomp"] = seccomp
    os.makedirs(folder)
    with open(os.path.join(folder, "config.json"), "w") as out:
        json.dump(config, out)
    return folder


class Runtime:
    def __init__(self, name, program, options, run):
        self.name, self.argv = name, [program, *options, "--root", f"{run}/oci-{name}"]

    def time(self, *argv, shell=None, env=None):
        """Milliseconds of one call, or of a shell that gets the runtime's command line as its arguments."""
        line = ["/bin/sh", "-ec", shell, "sh", *self.argv] if shell else [*self.argv, *argv]
        silent = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
        began = time.perf_counter_ns()
        pid = os.posix_spawnp(line[0], line, {**os.environ, **(env or {})}, file_actions=silent)
        _, status = os.waitpid(pid, 0)
        took = (time.perf_counter_ns() - began) / 1e6
        if status:
            raise RuntimeError(f"{self.name}: exit status {os.waitstatus_to_exitcode(status)} of {' '.join(line)}")
        return took


def runtimes(moss_oci, run, bundle, missing):
    found = []
    for name, program, options in (("moss-oci", moss_oci, []), ("crun", "crun", ["--cgroup-manager=disabled"]), ("runc", "runc", [])):
        if not program or not shutil.which(program):
            missing[name] = "not installed"
            continue
        runtime = Runtime(name, program, options, run)
        tried = subprocess.run([*runtime.argv, "run", "--bundle", bundle, "try"], stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if tried.returncode == 0:
            found.append(runtime)
        else:
            missing[name] = (tried.stderr.strip().splitlines() or [f"exit status {tried.returncode}"])[-1]
    return found


def measure(moss_oci, work, run, rootfs, profile, tree_memory, rounds):
    """Medians and minimums in ms of each runtime and what is done, and the largest resident memory of a process in KiB."""
    plain = write_bundle(f"{work}/oci-plain", rootfs)
    filtered = write_bundle(f"{work}/oci-filtered", rootfs, filter_of(profile))
    missing, samples = {}, {}
    found = runtimes(moss_oci, run, plain, missing)

    def once(runtime, what, *argv, **more):
        samples.setdefault(what, {}).setdefault(runtime.name, []).append(runtime.time(*argv, **more))

    # A container for each that exec goes into.
    for runtime in found:
        with open(f"{plain}/config.json") as file:
            config = json.load(file)
        config["process"]["args"] = ["/bin/sleep", "10000"]
        os.makedirs(f"{work}/oci-sleep-{runtime.name}")
        with open(f"{work}/oci-sleep-{runtime.name}/config.json", "w") as out:
            json.dump(config, out)
        runtime.time("run", "--detach", "--bundle", f"{work}/oci-sleep-{runtime.name}", "sleep")
        runtime.time("run", "--bundle", filtered, "warm")
    try:
        for i in range(rounds):
            for runtime in found:
                once(runtime, "run", "run", "--bundle", plain, "bench")
                once(runtime, "create, start, delete", shell=f'"$@" create --bundle {plain} bench; "$@" start bench; "$@" delete --force bench')
                once(runtime, "exec of true", "exec", "sleep", "/bin/true")
                once(runtime, "run with a filter", "run", "--bundle", filtered, "bench")
                if i < 10:
                    fresh = f"{run}/fresh-{runtime.name}-{i}"
                    os.makedirs(fresh, mode=0o700)
                    once(runtime, "run with a filter never seen", "run", "--bundle", filtered, "bench",
                         env={"XDG_RUNTIME_DIR": fresh, "XDG_CACHE_HOME": fresh})
    finally:
        for runtime in found:
            runtime.time("delete", "--force", "sleep")
    peak = {}
    for runtime in found:
        told = [subprocess.run([tree_memory, *runtime.argv, "run", "--bundle", plain, "bench"], check=True, capture_output=True, text=True)
                .stdout.strip().splitlines()[-1] for _ in range(5)]
        peak[runtime.name] = max(map(int, told))
    return {"ms": {what: {name: {"min": round(min(s), 2), "median": round(statistics.median(s), 2), "runs": len(s)} for name, s in of.items()}
                   for what, of in samples.items()},
            "peak_kib": peak, "missing": missing}


def markdown(results):
    names = list(results["peak_kib"])
    lines = ["", "| one bundle, the caller's own id mapped: median (minimum) ms | " + " | ".join(names) + " |", "|---|" + "--:|" * len(names)]
    for what, of in results["ms"].items():
        lines.append(f"| {what} | " + " | ".join(f"{of[n]['median']:.1f} ({of[n]['min']:.1f})" for n in names) + " |")
    lines.append("| peak memory of `run`, MiB | " + " | ".join(f"{results['peak_kib'][n] / 1024:.1f}" for n in names) + " |")
    lines += [f"\nNot measured: {name}: {why}." for name, why in results["missing"].items()]
    return lines
