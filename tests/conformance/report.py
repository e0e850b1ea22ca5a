#!/usr/bin/env python3
"""Prints what runtimes pass: report.py KNOWN RESULTS OF-CRUN OF-RUNC, called by scripts/conformance.

A file of results has lines "suite identity test verdict". KNOWN has "suite identity|any test: reason", a line for each
test that is known to fail, with the reason. Exit status 1: the first runtime fails where crun does not, and KNOWN does
not say why; or it says of a test why it fails that does not.
"""
import fnmatch
import os
import sys


def read_results(path):
    with open(path) as lines:
        return {tuple(line.split()[:3]): line.split()[3] for line in lines}


def read_known(path):
    known = []
    for line in open(path):
        if line.strip() and not line.startswith("#"):
            key, reason = line.strip().split(": ", 1)
            known.append((key.split(), reason))
    return known


def reason_for(known, key):
    for (suite, identity, test), reason in known:
        if suite == key[0] and identity in ("any", key[1]) and fnmatch.fnmatchcase(key[2], test):
            return reason
    return None


def main():
    known = read_known(sys.argv[1])
    names = [os.path.basename(path).removeprefix("results.") for path in sys.argv[2:]]
    ours, crun, runc = results = [read_results(path) for path in sys.argv[2:]]

    tests = list(dict.fromkeys(key for result in results for key in result))
    groups = list(dict.fromkeys(key[:2] for key in tests))
    print(f"{'suite':<12} {'as':<6} {'tests':>6}" + "".join(f"{name:>10}" for name in names))
    for group in groups:
        of_group = [key for key in tests if key[:2] == group]
        print(f"{group[0]:<12} {group[1]:<6} {len(of_group):>6}"
              + "".join(f"{sum(result.get(key) == 'good' for key in of_group):>10}" for result in results))

    below = [key for key in tests if ours.get(key) != "good" and crun.get(key) == "good"]
    above = [key for key in tests if ours.get(key) == "good" and crun.get(key) != "good"]
    below_runc = [key for key in tests if ours.get(key) != "good" and crun.get(key) != "good" and runc.get(key) == "good"]
    nobody = [key for key in tests if all(result.get(key) != "good" for result in results)]
    unexplained = [key for key in below if not reason_for(known, key)]
    for title, keys in ((f"{names[0]} below crun", below), (f"{names[0]} below runc only", below_runc), (f"{names[0]} above crun", above),
                        ("no runtime passes here", nobody)):
        print(f"\n{title}: {len(keys)}")
        for key in keys:
            why = "" if keys is above else f": {reason_for(known, key) or 'NOT EXPLAINED'}"
            print(f"  {key[0]} as {key[1]}, {key[2]} ({ours.get(key, 'no result')}){why}")
    if unexplained:
        print(f"\n{len(unexplained)} below crun without an explanation in tests/conformance/known")
    return 1 if unexplained else 0


sys.exit(main())
