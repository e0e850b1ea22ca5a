#!/usr/bin/env python3
"""What a power cut may leave of a folder, told from a record of what was changed in it (interrupt.cc).

    replay.py list RECORD ROOT BEFORE MOST            names of the states there are, MOST of them or all for 0
    replay.py build RECORD ROOT BEFORE STATE FOLDER   makes one of them as FOLDER

ROOT is what the recorded paths begin with, BEFORE a copy of that folder as it was when the record began, all on the disk.

A disk promises only what was synced: fsync of a file its bytes and what is known of it, fsync of a folder the names in
it, syncfs everything. All else may be on the disk or not, in any order. Power may go after any call, and of what was not
synced by then a state has

    N all     everything
    N none    nothing
    N names   the names, and empty files behind them
    N zeros   the names, and zeros in the files
    N -I      everything but call I; only where the next call is a sync, and at the end

Of states that look the same one is listed. A note that images are not synced yet (src/engine/images/unsynced.hh) is made one
of another boot: that is what it is after a power cut.
"""
import copy
import hashlib
import os
import stat
import struct
import sys

OTHER_BOOT = "11111111-2222-3333-4444-555555555555"


class Inode:
    def __init__(self, number, mode, uid=0, gid=0):
        self.number = number
        self.mode, self.uid, self.gid = mode, uid, gid
        self.data, self.target, self.device = b"", "", 0
        self.names = {}  # of a folder
        self.mtime = None  # nanoseconds; None is now
        self.xattrs = {}

    def is_folder(self):
        return stat.S_ISDIR(self.mode)


def scan(path, counter):
    status = os.lstat(path)
    node = Inode(next(counter), status.st_mode, status.st_uid, status.st_gid)
    node.mtime = status.st_mtime_ns
    if not stat.S_ISLNK(status.st_mode):
        node.xattrs = {name: os.getxattr(path, name) for name in os.listxattr(path) if name.startswith("user.")}
    if node.is_folder():
        for name in os.listdir(path):
            node.names[name] = scan(os.path.join(path, name), counter)
    elif stat.S_ISREG(status.st_mode):
        with open(path, "rb") as file:
            node.data = file.read()
    elif stat.S_ISLNK(status.st_mode):
        node.target = os.readlink(path)
    else:
        node.device = status.st_rdev
    return node


class Gone(Exception):
    """What a call works on is not there, as a call before it was lost."""


class Tree:
    def __init__(self, root, prefix, counter):
        self.root, self.prefix, self.counter = root, prefix, counter

    def parts(self, path):
        assert path == self.prefix or path.startswith(self.prefix + "/"), path
        return [part for part in path[len(self.prefix):].split("/") if part not in ("", ".")]

    def node(self, path):
        node = self.root
        for part in self.parts(path):
            if not node.is_folder() or part not in node.names:
                raise Gone
            node = node.names[part]
        return node

    def place(self, path):
        parts = self.parts(path)
        folder = self.root
        for part in parts[:-1]:
            if not folder.is_folder() or part not in folder.names:
                raise Gone
            folder = folder.names[part]
        if not folder.is_folder():
            raise Gone
        return folder, parts[-1]


class Call:
    """One line of the record. `apply` says what it touched: {inode of data}, {folders whose names changed}."""

    def __init__(self, line):
        self.name, *self.words = line.rstrip("\n").split("\t")

    def paths(self):
        return [word for word in self.words if word.startswith("/")]

    def is_sync(self):
        return self.name in ("fsync", "fdatasync", "syncfs")

    def make(self, tree, path, mode, **more):
        folder, name = tree.place(path)
        if name in folder.names:
            raise Gone
        node = Inode(next(tree.counter), mode)
        for key, value in more.items():
            setattr(node, key, value)
        folder.names[name] = node
        return set(), {folder.number}

    def apply(self, tree):
        name, words = self.name, self.words
        if name == "openat":
            path, flags, mode = words[0], int(words[1]), int(words[2])
            if not flags & os.O_CREAT:
                return set(), set()
            try:
                node = tree.node(path)
                if flags & os.O_TRUNC:
                    node.data = b""
                    return {node.number}, set()
                return set(), set()
            except Gone:
                return self.make(tree, path, stat.S_IFREG | mode)
        if name in ("write", "pwrite64"):
            node, data, at = tree.node(words[0]), bytes.fromhex(words[1])[:int(words[3])], int(words[2])
            node.data = node.data[:at].ljust(at, b"\0") + data + node.data[at + len(data):]
            return {node.number}, set()
        if name == "ftruncate":
            node = tree.node(words[0])
            node.data = node.data[:int(words[1])].ljust(int(words[1]), b"\0")
            return {node.number}, set()
        if name in ("mkdir", "mkdirat"):
            return self.make(tree, words[0], stat.S_IFDIR | int(words[1]))
        if name in ("mknod", "mknodat"):
            return self.make(tree, words[0], int(words[1]), device=int(words[2]))
        if name in ("symlink", "symlinkat"):
            return self.make(tree, words[1], stat.S_IFLNK | 0o777, target=os.fsdecode(bytes.fromhex(words[0])))
        if name in ("link", "linkat"):
            folder, last = tree.place(words[1])
            folder.names[last] = tree.node(words[0])
            return set(), {folder.number}
        if name in ("unlink", "unlinkat", "rmdir"):
            folder, last = tree.place(words[0])
            if last not in folder.names or folder.names[last].names:
                raise Gone
            del folder.names[last]
            return set(), {folder.number}
        if name in ("rename", "renameat", "renameat2"):
            node = tree.node(words[0])
            source, old = tree.place(words[0])
            target, new = tree.place(words[1])
            del source.names[old]
            target.names[new] = node
            return set(), {target.number}
        if name in ("fchmod", "fchmodat", "chmod"):
            node = tree.node(words[0])
            node.mode = stat.S_IFMT(node.mode) | int(words[1])
            return {node.number}, set()
        if name in ("fchown", "fchownat", "chown", "lchown"):
            node = tree.node(words[0])
            node.uid, node.gid = int(words[1]), int(words[2])
            return {node.number}, set()
        if name == "utimensat":
            node = tree.node(words[0])
            seconds, nanoseconds = struct.unpack("qqqq", bytes.fromhex(words[1]))[2:]
            node.mtime = seconds * 1_000_000_000 + nanoseconds
            return {node.number}, set()
        if name in ("fsetxattr", "setxattr", "lsetxattr"):
            node = tree.node(words[0])
            node.xattrs[os.fsdecode(bytes.fromhex(words[1]))] = bytes.fromhex(words[2])
            return {node.number}, set()
        if name in ("flock", "fallocate") or self.is_sync():
            return set(), set()
        raise SystemExit(f"replay.py: a call that it does not know: {name} {words}")


class Replay:
    def __init__(self, record, root, before):
        self.prefix = root.rstrip("/")
        with open(record, encoding="utf-8") as file:
            calls = [Call(line) for line in file]
        self.calls = [c for c in calls if any((p + "/").startswith(self.prefix + "/") for p in c.paths())]
        self.counter = iter(range(1 << 60))
        self.before = scan(before, self.counter)
        self.first_new = next(self.counter)
        self.data, self.folders = [], []  # touched by each call
        self.durable_at = [len(self.calls) + 1] * len(self.calls)  # the sync that made each call durable
        tree = self.fresh()
        for number, call in enumerate(self.calls):
            try:
                data, folders = call.apply(tree)
                synced = tree.node(call.words[0]).number if call.is_sync() and call.name != "syncfs" else None
            except Gone:
                raise SystemExit(f"replay.py: the record does not fit: {call.name} {call.words}") from None
            self.data.append(data)
            self.folders.append(folders)
            if call.is_sync():
                for i in range(number):
                    if self.durable_at[i] > number and (synced is None or synced in self.data[i] | self.folders[i]):
                        self.durable_at[i] = number

    def fresh(self):
        return Tree(copy.deepcopy(self.before), self.prefix, iter(range(self.first_new, 1 << 60)))

    def loose(self, number):
        """Calls before `number` that nothing has made durable by then."""
        return [i for i in range(number) if self.durable_at[i] >= number and (self.data[i] or self.folders[i])]

    def names(self):
        for number in range(len(self.calls) + 1):
            yield from (f"{number} {kind}" for kind in ("all", "none", "names", "zeros"))
            if number == len(self.calls) or self.calls[number].is_sync():
                yield from (f"{number} -{i}" for i in self.loose(number))

    def state(self, name):
        number, kind = name.split()
        number = int(number)
        loose = set(self.loose(number))
        lost = {"all": set(), "none": loose, "zeros": set()}.get(kind)
        if kind == "names":
            lost = {i for i in loose if self.data[i]}
        if lost is None:
            lost = {-int(kind)} if kind != "-0" else {0}
        tree = self.fresh()
        for i, call in enumerate(self.calls[:number]):
            if i in lost:
                continue
            try:
                call.apply(tree)
                if kind == "zeros" and i in loose and call.name in ("write", "pwrite64"):
                    node = tree.node(call.words[0])
                    node.data = b"\0" * len(node.data)
            except Gone:
                pass
        notes = [node for folder in tree.root.names.values() for name, node in folder.names.items() if name == "unsynced"]
        for folder in notes:
            folder.names = {OTHER_BOOT + name[name.index("."):]: node for name, node in folder.names.items()}
        return tree.root


def digest(node, into):
    into.update(repr((node.mode, node.uid, node.gid, node.target, node.device, sorted(node.xattrs.items()))).encode())
    into.update(hashlib.sha256(node.data).digest())
    for name in sorted(node.names):
        into.update(name.encode(errors="surrogateescape") + b"\0")
        digest(node.names[name], into)
    into.update(b"\1")


def build(node, path, made):
    if node.number in made:
        os.link(made[node.number], path, follow_symlinks=False)
        return
    made[node.number] = path
    if node.is_folder():
        os.mkdir(path, 0o700)
        for name, child in node.names.items():
            build(child, os.path.join(path, name), made)
    elif stat.S_ISREG(node.mode):
        with open(path, "wb") as file:
            file.write(node.data)
    elif stat.S_ISLNK(node.mode):
        os.symlink(node.target, path)
    else:
        os.mknod(path, stat.S_IFMT(node.mode) | 0o600, node.device)
    os.lchown(path, node.uid, node.gid)
    for name, value in node.xattrs.items():
        os.setxattr(path, name, value, follow_symlinks=False)
    if not stat.S_ISLNK(node.mode):
        os.chmod(path, stat.S_IMODE(node.mode))
    if node.mtime is not None:
        os.utime(path, ns=(node.mtime, node.mtime), follow_symlinks=False)


def main(words):
    if len(words) == 5 and words[0] == "list":
        replay = Replay(*words[1:4])
        seen, names = set(), []
        for name in replay.names():
            state = hashlib.sha256()
            digest(replay.state(name), state)
            if state.digest() not in seen:
                seen.add(state.digest())
                names.append(name)
        most = int(words[4])
        if 1 < most < len(names):
            names = [names[i * (len(names) - 1) // (most - 1)] for i in range(most)]
        print("\n".join(names))
    elif len(words) == 6 and words[0] == "build":
        build(Replay(*words[1:4]).state(words[4]), words[5], {})
    else:
        raise SystemExit(__doc__)


main(sys.argv[1:])
