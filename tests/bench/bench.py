#!/usr/bin/env python3
"""Compares moss with the floor program and its peers on this machine; scripts/bench prepares and starts it.

Everything that is compared is measured in one run, interleaved (A B C A B C ...), as an ordinary user, on the same
root filesystem. The figures are minimum and median, and ratios of medians. Writes results.json, results.md and
results.svg into the output folder. A peer that is missing or does not work here is named with the reason.
"""
import argparse
import json
import math
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time

import images
import oci

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


class Contender:
    """One way to run `true` in a container: `argv`, and what is said about it."""

    def __init__(self, name, argv, env=None, note=""):
        self.name, self.argv, self.note = name, argv, note
        self.env = {**os.environ, **(env or {})}

    def spawn(self):
        silent = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
        return os.posix_spawnp(self.argv[0], self.argv, self.env, file_actions=silent)

    def run(self):
        """One run in microseconds."""
        began = time.perf_counter_ns()
        _, status = os.waitpid(self.spawn(), 0)
        took = (time.perf_counter_ns() - began) / 1000
        if status != 0:
            raise RuntimeError(f"{self.name}: exit status {os.waitstatus_to_exitcode(status)}")
        return took


def summary(samples):
    return {"min": round(min(samples), 1), "median": round(statistics.median(samples), 1), "runs": len(samples)}


def first_that_works(candidates, missing):
    """The first of several command lines that runs here; the last one's complaint goes to `missing` if none does."""
    name, complaint = "", ""
    for candidate in candidates:
        name = candidate.name
        if not shutil.which(candidate.argv[0]):
            complaint = "not installed"
            continue
        tried = subprocess.run(candidate.argv, env=candidate.env, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if tried.returncode == 0:
            return [candidate]
        complaint = (tried.stderr.strip().splitlines() or [f"exit status {tried.returncode}"])[-1]
    missing[name] = complaint
    return []


# --- the contenders ---------------------------------------------------------------------------------------------------


def subordinate_range(path):
    user = os.environ["USER"]
    for line in open(path):
        name, first, count = line.strip().split(":")
        if name in (user, str(os.getuid())):
            return int(first), int(count)
    sys.exit(f"no subordinate ids for {user} in {path}")


def write_bundle(folder, rootfs):
    """A bundle as an engine would write it: ids mapped, own network, masked paths. No seccomp filter, which favours the peers."""
    uid, gid = subordinate_range("/etc/subuid"), subordinate_range("/etc/subgid")
    capabilities = [f"CAP_{c}" for c in "CHOWN DAC_OVERRIDE FOWNER FSETID KILL NET_BIND_SERVICE SETFCAP SETGID SETPCAP SETUID SYS_CHROOT".split()]
    flags = ["nosuid", "noexec", "nodev"]
    config = {
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": ["/bin/true"], "cwd": "/", "env": ["PATH=/usr/bin:/bin"],
            "capabilities": {s: capabilities for s in ("bounding", "effective", "permitted")},
        },
        "root": {"path": rootfs},
        "hostname": "bench",
        "mounts": [
            {"destination": "/proc", "type": "proc", "source": "proc", "options": flags},
            {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
            {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
            {"destination": "/dev/shm", "type": "tmpfs", "source": "shm", "options": flags + ["mode=1777", "size=65536k"]},
            {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue", "options": flags},
            {"destination": "/sys", "type": "sysfs", "source": "sysfs", "options": flags + ["ro"]},
        ],
        "linux": {
            "uidMappings": [{"containerID": 0, "hostID": os.getuid(), "size": 1}, {"containerID": 1, "hostID": uid[0], "size": uid[1]}],
            "gidMappings": [{"containerID": 0, "hostID": os.getgid(), "size": 1}, {"containerID": 1, "hostID": gid[0], "size": gid[1]}],
            "namespaces": [{"type": t} for t in ("user", "mount", "pid", "ipc", "uts", "network")],
            "maskedPaths": ["/proc/acpi", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list", "/proc/timer_stats",
                            "/proc/sched_debug", "/proc/scsi", "/sys/firmware", "/sys/fs/selinux", "/sys/dev/block"],
            "readonlyPaths": ["/proc/asound", "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"],
        },
    }
    os.makedirs(folder)
    with open(os.path.join(folder, "config.json"), "w") as out:
        json.dump(config, out)


def podman_variants(args, store, command):
    """Rootless podman as it stands, then with what a host without systemd or cgroup v2 needs."""
    base = ["podman", "--log-level", "error", "--root", f"{store}/root", "--runroot", f"{args.run}/{os.path.basename(store)}"]
    extras = [[], ["--cgroup-manager=cgroupfs"], ["--cgroup-manager=cgroupfs", "--runtime=crun"], ["--cgroup-manager=cgroupfs", "--runtime=runc"]]
    extras += [e + ["--storage-driver=vfs"] for e in extras[1:]]
    return [Contender("podman", base + extra + command, note=" ".join(extra)) for extra in extras]


def moss(args, data, command):
    env = {"XDG_DATA_HOME": data}
    return Contender("moss", [args.moss] + command, env)


def contenders(args, missing):
    rootfs = f"{args.work}/rootfs"
    os.makedirs(rootfs)
    subprocess.run(["tar", "-C", rootfs, "--no-same-owner", "-xzf", args.tarball], check=True)
    for folder in ("proc", "sys", "dev", "etc"):
        os.makedirs(f"{rootfs}/{folder}", exist_ok=True)
    skeleton = f"{args.work}/scratch/skeleton"
    for folder in ("proc", "sys", "dev", "etc"):
        os.makedirs(f"{skeleton}/{folder}")
    for name in ("hosts", "hostname", "resolv.conf"):
        open(f"{skeleton}/etc/{name}", "w").close()

    found = []
    floor = [args.floor] + (["-f", args.filter] if args.filter else []) + [rootfs, f"{args.work}/scratch"]
    found += first_that_works([Contender("floor", floor, note="the system calls alone, in C")], missing)
    if args.moss:
        image = moss(args, f"{args.work}/moss", ["import", "--quiet", args.tarball, "alpine"])
        subprocess.run(image.argv, env=image.env, check=True, stdout=subprocess.DEVNULL)
        found += first_that_works([moss(args, f"{args.work}/moss", ["run", "--rm", "--network", "none", "alpine", "true"])], missing)
    bwrap = ["bwrap", "--unshare-all", "--uid", "0", "--gid", "0", "--bind", rootfs, "/", "--proc", "/proc", "--dev", "/dev", "/bin/true"]
    found += first_that_works([Contender("bwrap", bwrap, note="one id mapped, no overlay, no filter")], missing)
    write_bundle(f"{args.work}/bundle", rootfs)
    for name, extra in (("crun", ["--cgroup-manager=disabled"]), ("runc", [])):
        line = [name, *extra, "--root", f"{args.run}/{name}", "run", "--bundle", f"{args.work}/bundle", "bench"]
        found += first_that_works([Contender(name, line, note="a ready bundle: no image, no overlay, no filter")], missing)
    if shutil.which("podman"):
        store = f"{args.work}/podman"
        for variant in podman_variants(args, store, ["import", "-q", args.tarball, "localhost/alpine"]):
            if subprocess.run(variant.argv, env=variant.env, capture_output=True).returncode == 0:
                break
    works = first_that_works(podman_variants(args, f"{args.work}/podman", ["run", "--rm", "--network", "none", "localhost/alpine", "true"]), missing)
    return found + works


# --- the stages -------------------------------------------------------------------------------------------------------


def start_latency(found, runs):
    samples = {c.name: [] for c in found}
    for _ in range(runs):
        for contender in found:
            samples[contender.name].append(contender.run())
    return {name: summary(s) for name, s in samples.items()}


def peak_memory(args, found):
    """Largest resident memory of any one process of a run, in KiB."""
    result = {}
    for contender in found:
        told = [int(subprocess.run([args.tree_memory, *contender.argv], env=contender.env, check=True, capture_output=True, text=True)
                    .stdout.strip().splitlines()[-1]) for _ in range(5)]
        result[contender.name] = max(told)
    return result


def processes_running(executable):
    found = set()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.path.basename(os.readlink(f"/proc/{pid}/exe")) == os.path.basename(executable):
                found.add(int(pid))
        except OSError:
            pass  # someone else's, or gone
    return found


def monitor_memory(found):
    """PSS of what stays beside one detached container, in KiB."""
    result = {}
    for contender in found:
        watcher = {"moss": contender.argv[0], "podman": "conmon"}.get(contender.name)
        if watcher is None:
            continue
        at = contender.argv.index("run")
        base, image = contender.argv[:at], contender.argv[-2]
        before = processes_running(watcher)
        start = base + ["run", "-d", "--name", "bench", "--network", "none", image, "sleep", "100"]
        subprocess.run(start, env=contender.env, check=True, stdout=subprocess.DEVNULL)
        time.sleep(1)
        total = 0
        for pid in processes_running(watcher) - before:
            with open(f"/proc/{pid}/smaps_rollup") as rollup:
                total += sum(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        result[os.path.basename(watcher)] = total
        subprocess.run(base + ["rm", "-f", "-t", "0", "bench"], env=contender.env, check=True, stdout=subprocess.DEVNULL)
    return result


def many_at_once(found, count, rounds=3):
    """`count` runs one after another and at once, in ms, the best of interleaved rounds; `ratio` is at once / (one after
    another / cores). It cannot fall below what one run keeps busy of the cores by itself: newuidmap and newgidmap work
    side by side, and so do parent and child."""
    cores, result = len(os.sched_getaffinity(0)), {}
    for _ in range(rounds):
        for contender in found:
            if contender.name not in ("floor", "moss", "podman"):
                continue
            figures = result.setdefault(contender.name, {"count": count, "in_turn_ms": math.inf, "at_once_ms": math.inf, "failed": 0})
            if contender.name == "podman" and figures["in_turn_ms"] < math.inf:
                continue  # once takes a minute, and nobody doubts it
            began = time.perf_counter()
            for _ in range(count):
                contender.run()
            in_turn = time.perf_counter() - began
            began = time.perf_counter()
            running = [contender.spawn() for _ in range(count)]
            figures["failed"] += sum(os.waitpid(pid, 0)[1] != 0 for pid in running)
            at_once = time.perf_counter() - began
            figures["in_turn_ms"] = min(figures["in_turn_ms"], round(in_turn * 1000, 1))
            figures["at_once_ms"] = min(figures["at_once_ms"], round(at_once * 1000, 1))
    for figures in result.values():
        figures["ratio"] = round(figures["at_once_ms"] / (figures["in_turn_ms"] / cores), 2)
    return result


def end_podmans_pause(run):
    """Rootless podman leaves a process that holds its user namespace; ours is the one of our runtime folder."""
    try:
        with open(f"{run}/libpod/tmp/pause.pid") as pid:
            os.kill(int(pid.read()), signal.SIGKILL)
    except FileNotFoundError:
        pass  # podman was not there, or made none


# --- what is written --------------------------------------------------------------------------------------------------


def machine():
    model = next((line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")), platform.machine())
    return {"cpu": model, "cores": len(os.sched_getaffinity(0)), "kernel": platform.release(), "date": time.strftime("%Y-%m-%d"),
            "os": next((line.split("=")[1].strip().strip('"') for line in open("/etc/os-release") if line.startswith("PRETTY_NAME")), "")}


def version(name):
    try:
        return subprocess.run([name, "--version"], capture_output=True, text=True).stdout.splitlines()[0]
    except (OSError, IndexError):
        return name


def markdown(results):
    here, start = results["machine"], results["start_us"]
    yard = "moss" if "moss" in start else "floor"
    lines = [f"`scripts/bench` on {here['os']}, {here['cores']} cores ({here['cpu']}), Linux {here['kernel']}, {here['date']}, as an ordinary user.",
             "Versions: " + ", ".join(sorted(results["versions"].values())) + ".", "",
             f"| `run --rm --network none alpine true` | min ms | median ms | ratio to {yard} | peak memory, MiB | |", "|---|--:|--:|--:|--:|---|"]
    for name, figures in start.items():
        ratio = figures["median"] / start[yard]["median"]
        memory = results["peak_kib"].get(name)
        lines.append(f"| {name} | {figures['min'] / 1000:.2f} | {figures['median'] / 1000:.2f} | {ratio:.2f} | "
                     f"{memory / 1024:.1f} | {results['notes'].get(name, '')} |")
    for name, why in results["missing"].items():
        lines.append(f"| {name} | – | – | – | – | {why} |")
    if results.get("images"):
        lines += images.markdown(results["images"])
    if results.get("many"):
        lines += ["", "| many runs | one after another, ms | at once, ms | at once / (one after another / cores) |", "|---|--:|--:|--:|"]
        lines += [f"| {f['count']} x {n} | {f['in_turn_ms']:.0f} | {f['at_once_ms']:.0f} | {f['ratio']} |" for n, f in results["many"].items()]
    if results.get("monitor_pss_kib"):
        lines += ["", "Beside one detached container stays (PSS): " + ", ".join(f"{n} {k / 1024:.2f} MiB" for n, k in results["monitor_pss_kib"].items()) + "."]
    if results.get("oci"):
        lines += oci.markdown(results["oci"])
    lines += ["", "Peak memory is that of the largest process of the run."]
    return "\n".join(lines) + "\n"


def chart(results, out):
    if not shutil.which("gnuplot"):
        return
    rows = "\n".join(f'"{name}" {f["median"] / 1000} {f["min"] / 1000}' for name, f in results["start_us"].items())
    script = f"""set terminal svg size 720,300 font 'sans-serif,13' background '#ffffff'
set output '{out}'
set logscale y
set ylabel 'ms, logarithmic'
set title 'run --rm --network none alpine true: median (box) and minimum (line)'
set style fill solid 0.8 noborder
set boxwidth 0.6
set grid y
set xrange [-0.6:*]
set yrange [1:*]
unset key
$data << EOD
{rows}
EOD
plot $data using 0:2:xtic(1) with boxes lc rgb '#5a8f4e', '' using 0:2:(sprintf('%.1f', $2)) with labels offset 0,0.7, \\
     '' using 0:3:(0.3) with xerrorbars pt 0 lw 2 lc rgb '#203a1c'
"""
    subprocess.run(["gnuplot"], input=script, text=True, check=True)


def update_readme(path, table, svg):
    text = open(path).read()
    if BEGIN not in text or END not in text:
        sys.exit(f"{path} has no place for the table: add the lines {BEGIN} and {END}")
    head, rest = text.split(BEGIN, 1)
    tail = rest.split(END, 1)[1]
    picture = os.path.relpath(svg, os.path.dirname(os.path.abspath(path)))
    with open(path, "w") as out:
        out.write(f"{head}{BEGIN}\n{table}\n![Start latency]({picture})\n{END}{tail}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", help="empty folder on disk, owned by the user")
    parser.add_argument("--run", help="empty folder on a tmpfs, owned by the user")
    parser.add_argument("--out", required=True)
    parser.add_argument("--moss")
    parser.add_argument("--floor")
    parser.add_argument("--filter", help="raw BPF for the floor program")
    parser.add_argument("--tree-memory")
    parser.add_argument("--seccomp", help="profile of the size of Docker's, for the OCI runtimes")
    parser.add_argument("--tarball")
    parser.add_argument("--runs", type=int, default=100)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--pulls", type=int, default=3)
    parser.add_argument("--layer-mb", type=float, default=400)
    parser.add_argument("--layer-files", type=int, default=27000)
    parser.add_argument("--drop-caches", help="folder of two fifos: for each line in ask the page cache is emptied, and done answers")
    parser.add_argument("--stages", default="start,memory,many,images,oci")
    parser.add_argument("--readme", help="only put the results of --out into this file")
    args = parser.parse_args()
    if args.readme:
        update_readme(args.readme, open(f"{args.out}/results.md").read(), f"{args.out}/results.svg")
        return
    os.environ["XDG_RUNTIME_DIR"] = args.run
    stages, missing = args.stages.split(","), {}
    found = contenders(args, missing)
    results = {"machine": machine(), "missing": missing, "notes": {c.name: c.note for c in found},
               "versions": {c.name: version(c.argv[0]) for c in found if c.name != "floor"},
               "commands": {c.name: " ".join(c.argv) for c in found}}
    results["start_us"] = start_latency(found, args.runs)
    results["peak_kib"] = peak_memory(args, found)
    if "memory" in stages:
        results["monitor_pss_kib"] = monitor_memory(found)
    if "many" in stages:
        results["many"] = many_at_once(found, args.count)
    if "images" in stages:
        podman = next((c.note.split() for c in found if c.name == "podman"), None)
        results["images"] = images.measure(args, podman)
    if "oci" in stages:
        moss_oci = os.path.join(os.path.dirname(args.moss), "moss-oci") if args.moss else None
        results["oci"] = oci.measure(moss_oci, args.work, args.run, f"{args.work}/rootfs", args.seccomp, args.tree_memory, args.runs)
    end_podmans_pause(args.run)
    with open(f"{args.out}/results.json", "w") as out:
        json.dump(results, out, indent=2)
    with open(f"{args.out}/results.md", "w") as out:
        out.write(markdown(results))
    chart(results, f"{args.out}/results.svg")
    print(markdown(results))


main()
