#!/usr/bin/env python3
"""Run a command and print the most memory its processes had together: peak_memory.py COMMAND ARG...

In KiB, as the sum of the proportional set sizes (PSS) of the command and all its descendants, looked at every few
milliseconds: what two of them share counts once. The exit status is the command's.
"""
import os
import subprocess
import sys
import time

INTERVAL = 0.004


def descendants(root):
    """The process and everything it started that is still its descendant."""
    parents = {}
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as file:
                parents[int(name)] = int(file.read().rsplit(b")", 1)[1].split()[1])
        except OSError:
            pass
    out, before = {root}, 0
    while len(out) > before:
        before = len(out)
        out |= {pid for pid, parent in parents.items() if parent in out}
    return out


def pss(pid):
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss:"):
                    return int(line.split()[1])
    except OSError:
        pass  # it ended
    return 0


def main():
    command = subprocess.Popen(sys.argv[1:], stdout=sys.stderr)
    peak = samples = 0
    while command.poll() is None:
        peak = max(peak, sum(pss(pid) for pid in descendants(command.pid)))
        samples += 1
        time.sleep(INTERVAL)
    if samples < 3:
        sys.exit(f"the command ended after {samples} looks at it: too few to say anything")
    print(peak)
    sys.exit(command.returncode)


main()
