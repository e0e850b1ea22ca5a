"""Gives a hostile image to moss in every way there is, and looks at what it did.

An image is its layers and what shall be wrong with its documents. It is offered as an OCI layout (`oci:`, layers in
zstd), an OCI archive (gzip), Docker's archive (plain tars) and by a registry on loopback (gzip); without MOSS_TEST_ALL
by the registry and one of the others in turn. Each time moss must end soon, in at most 64 MiB, with the victim as it
was; and then
  - either refuse: exit status 125, one line on standard error with the words expected, no control byte in it, and
    nothing in the store that was not there before;
  - or take the image wholly: what a check finds in its layers, and nothing left once it is removed.
"""
import hashlib
import http.server
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import time

import tar

MOSS = os.environ["MOSS"]
STORE = os.path.join(os.environ["XDG_DATA_HOME"], "moss")
ALL = "MOSS_TEST_ALL" in os.environ
FILES = ("oci", "oci-archive", "docker-archive")
COMPRESSION = {"oci": "zstd", "oci-archive": "gzip", "docker-archive": "plain", "registry": "gzip"}
LIMIT_KIB = 64 << 10
LIMIT_SECONDS = 30  # a busy machine; moss needs less than one

LAYER = "application/vnd.oci.image.layer.v1.tar"
LAYER_TYPE = {"plain": LAYER, "gzip": LAYER + "+gzip", "zstd": LAYER + "+zstd"}
CONFIG = "application/vnd.oci.image.config.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(os.uname().machine, os.uname().machine)


def text(value):
    return value if isinstance(value, bytes) else json.dumps(value, separators=(",", ":")).encode()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


class Layout:
    """An OCI layout in memory: blobs by digest, and index.json."""

    def __init__(self):
        self.blobs = {}
        self.index = {}
        self.oci_layout = b'{"imageLayoutVersion":"1.0.0"}'

    def blob(self, data, media_type):
        self.blobs[digest(data)] = data
        return {"mediaType": media_type, "digest": digest(data), "size": len(data)}

    def document(self, value, media_type):
        return self.blob(text(value), media_type)

    def files(self):
        yield "oci-layout", self.oci_layout
        yield "index.json", text(self.index)
        for name, data in self.blobs.items():
            yield "blobs/" + name.replace(":", "/"), data


class Image:
    """What a case may spoil before it is written: `config`, `manifest`, and with `edit` the layout as a whole.

    `layers` are tars, or pairs of one and its compressed form where that shall not be made of it.
    """

    def __init__(self, *layers, config=None, manifest=None, edit=None):
        self.layers = layers or (tar.file("f") + tar.END,)
        self.config, self.manifest, self.edit = config, manifest, edit

    def plain(self):
        return [layer[0] if isinstance(layer, tuple) else layer for layer in self.layers]

    def make_config(self):
        config = {
            "architecture": ARCHITECTURE,
            "os": "linux",
            "config": {"Cmd": ["true"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in self.plain()]},
        }
        if self.config:
            changed = self.config(config)
            config = config if changed is None else changed
        return config

    def layout(self, compression):
        layout = Layout()
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": layout.document(self.make_config(), CONFIG),
            "layers": [],
        }
        for layer in self.layers:
            data = layer[1] if isinstance(layer, tuple) else tar.COMPRESS[compression](layer)
            manifest["layers"].append(layout.blob(data, LAYER_TYPE[compression]))
        if self.manifest:
            manifest = self.manifest(manifest, layout) or manifest
        entry = layout.document(manifest, MANIFEST)
        layout.index = {"schemaVersion": 2, "manifests": [entry]}
        if self.edit:
            self.edit(layout, entry)
        return layout


class Registry:
    """Serves one layout; counts what it was asked for."""

    def __init__(self):
        self.layout = None
        self.asked = []
        registry = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *arguments):
                pass

            def do_GET(self):
                registry.asked.append(self.path)
                body = registry.find(self.path)
                self.send_response(404 if body is None else 200)
                size = len(body or b"") if not isinstance(body, int) else body
                self.send_header("Content-Length", str(size))
                self.end_headers()
                try:
                    if isinstance(body, int):  # that many zeros
                        for _ in range(body >> 16):
                            self.wfile.write(b"\0" * (1 << 16))
                    else:
                        self.wfile.write(body or b"")
                except OSError:
                    self.close_connection = True

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # moss hangs up where it has seen enough
        self.name = f"127.0.0.1:{self.server.server_address[1]}/app"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def find(self, path):
        if path == "/v2/":
            return b"{}"
        _, _, _, kind, what = path.split("/", 4)
        if kind == "manifests" and ":" not in what:
            index = self.layout.index
            if isinstance(index, bytes):
                return index
            return self.layout.blobs.get(index["manifests"][0]["digest"])
        return self.layout.blobs.get(what)


def picture(folder):
    """Everything of a tree that can be changed."""
    out = []
    for parent, folders, files in sorted(os.walk(folder)):
        for name in [""] + sorted(folders + files):
            path = os.path.join(parent, name)
            status = os.lstat(path)
            content = open(path, "rb").read() if name in files and os.path.isfile(path) else b""
            out.append((path, status.st_mode, status.st_uid, status.st_nlink, status.st_size, status.st_mtime_ns, content))
    return out


def store_picture():
    """Files of the store but the empty ones that locks are."""
    out = []
    for parent, folders, files in os.walk(STORE):
        if os.path.basename(parent) == "locks":
            continue
        out += [os.path.relpath(os.path.join(parent, name), STORE) for name in files]
        if parent in (os.path.join(STORE, "layers"), os.path.join(STORE, "staging")):
            out += [os.path.relpath(os.path.join(parent, name), STORE) for name in folders]
            del folders[:]  # a layer's own modes may keep us out
    with open(os.path.join(STORE, "index.json")) as file:
        out += [f"index.json: {entry['digest']}" for entry in json.load(file).get("manifests") or []]
    return out


def run(arguments):
    """moss with these arguments: exit status, standard error, KiB of its largest process, seconds."""
    start = time.monotonic()
    # time(1) lies between, since the kernel counts what a process was before its execve too.
    command = ["/usr/bin/time", "-q", "-f", "%M", "-o", "memory", "timeout", "-s", "KILL", str(LIMIT_SECONDS), MOSS]
    done = subprocess.run(command + arguments, stdin=subprocess.DEVNULL, capture_output=True)
    seconds = time.monotonic() - start
    memory = int(open("memory").read().split()[-1])
    return done.returncode, done.stderr, memory, seconds


def is_at_work():
    """Whether a process still brings an image to the disk, or removes one."""
    staging = os.path.join(STORE, "staging")
    removing = os.listdir(staging) if os.path.isdir(staging) else []
    return os.path.exists(os.path.join(STORE, "unsynced")) or any(name.startswith("removing-") for name in removing)


def settle():
    end = time.monotonic() + 60
    while is_at_work() and time.monotonic() < end:
        time.sleep(0.02)


class Runner:
    def __init__(self, victim):
        self.victim = victim
        self.registry = Registry()
        self.failures = 0
        self.runs = 0
        self.most_kib = 0
        # A store that was made and emptied again.
        self.empty = None
        run(self.offer(Image(), "oci"))
        settle()
        run(["rmi", "-f", "-a"])
        settle()
        self.empty = store_picture()

    def offer(self, image, way):
        """Writes the image and gives moss's arguments for it."""
        shutil.rmtree("image", ignore_errors=True)
        layout = image.layout(COMPRESSION[way])
        if way == "registry":
            self.registry.layout = layout
            self.registry.asked.clear()
            return ["pull", "-q", self.registry.name]
        os.mkdir("image")
        if way == "docker-archive":
            with open("image/x.tar", "wb") as out:
                names = []
                for i, layer in enumerate(image.plain()):
                    names.append(f"{i}/layer.tar")
                    out.write(tar.file(names[-1], layer))
                out.write(tar.file("config.json", text(image.make_config())))
                entry = {"Config": "config.json", "RepoTags": ["app:1"], "Layers": names}
                out.write(tar.file("manifest.json", text([entry])) + tar.END)
            return ["load", "-q", "-i", "image/x.tar"]
        if way == "oci-archive":
            with open("image/x.tar", "wb") as out:
                for name, data in layout.files():
                    out.write(tar.file(name, data if not isinstance(data, int) else b""))
                out.write(tar.END)
            return ["load", "-q", "-i", "image/x.tar"]
        for name, data in layout.files():
            os.makedirs(os.path.dirname("image/layout/" + name), exist_ok=True)
            with open("image/layout/" + name, "wb") as out:
                if isinstance(data, int):
                    out.truncate(data)
                else:
                    out.write(data)
        return ["pull", "-q", "oci:image/layout"]

    def offer_archive(self, data):
        shutil.rmtree("image", ignore_errors=True)
        os.mkdir("image")
        with open("image/x.tar", "wb") as out:
            out.write(data)
        return ["load", "-q", "-i", "image/x.tar"]

    def try_one(self, name, image, way, refused=None, check=None):
        complaints = []
        arguments = self.offer(image, way) if isinstance(image, Image) else self.offer_archive(image)
        before = picture(self.victim)
        status, error, memory, seconds = run(arguments)
        said = error.decode(errors="replace")
        self.runs += 1
        self.most_kib = max(self.most_kib, memory)
        if memory > LIMIT_KIB:
            complaints.append(f"took {memory} KiB")
        if seconds >= LIMIT_SECONDS:
            complaints.append("hung")
        if picture(self.victim) != before:
            complaints.append("the victim changed")
        if re.search(rb"[\x00-\x09\x0b-\x1f\x7f]", error):
            complaints.append(f"control bytes in the message: {error!r}")
        if refused is not None:
            if status != 125:
                complaints.append(f"exit status {status}, not 125")
            if said.count("\n") != 1 or not said.startswith("Error: ") or len(said) > 2000:
                complaints.append("not one line of error")
            if not re.search(refused, said):
                complaints.append(f"the error does not say {refused!r}")
        else:
            if status != 0:
                complaints.append(f"exit status {status}, not 0")
            settle()
            if status == 0:
                try:
                    if check:
                        self.check(image, check)
                except (AssertionError, OSError) as problem:
                    complaints.append(f"{type(problem).__name__}: {problem}")
            gone = subprocess.run([MOSS, "rmi", "-f", "-a"], capture_output=True, text=True)
            if gone.returncode != 0:
                complaints.append("cannot be removed: " + gone.stderr)
        settle()
        left = sorted(set(store_picture()) - set(self.empty))
        if left:
            complaints.append("left in the store: " + " ".join(left))
            subprocess.run([MOSS, "rmi", "-f", "-a"], capture_output=True)
            settle()
        if complaints:
            self.failures += 1
            print(f"{name}, {way}: " + "; ".join(complaints) + (f"\n    {said.strip()[:300]}" if said.strip() else ""), flush=True)

    def check(self, image, check):
        """Calls `check` with a function that gives the path of a name in the last layer."""
        diff_id = digest(image.plain()[-1]).split(":")[1]
        found = [name for name in os.listdir(os.path.join(STORE, "layers")) if name.startswith(diff_id) and not name.endswith(".size")]
        assert len(found) == 1, f"no layer for the diff id: {os.listdir(os.path.join(STORE, 'layers'))}"
        check(lambda name: os.path.join(os.fsencode(STORE), b"layers", os.fsencode(found[0]), b"fs", tar.raw(name)))

    def run_all(self, cases):
        for at, (name, image, expectation) in enumerate(cases):
            ways = expectation.get("ways", ("registry",) + (FILES if ALL else FILES[at % 3 :][:1]))
            if not ALL and "ways" in expectation:
                ways = ways[at % len(ways) :][:1]
            expectation = {key: value for key, value in expectation.items() if key != "ways"}
            made = image(self.victim) if callable(image) else image
            for way in ways if isinstance(made, Image) else ("archive",):
                self.try_one(name, made, way, **expectation)


def main(chosen, groups):
    os.mkdir("victim")
    for name in ("keep", "other"):
        with open("victim/" + name, "w") as out:
            out.write("precious")
    os.chmod("victim/keep", 0o640)
    runner = Runner(os.path.abspath("victim"))
    for name in chosen:
        runner.run_all(groups[name])
    print(f"{runner.runs} runs, {runner.failures} wrong, largest process {runner.most_kib >> 10} MiB")
    return 1 if runner.failures or runner.runs == 0 else 0
