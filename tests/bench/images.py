"""Images beside each other: moss, podman, skopeo with umoci, and what shell tools reach. Used by bench.py.

One registry on loopback serves all. Every pull goes into a store that was never used, and nothing is deleted before the
end; what is deleted then is timed too. Each begins when the disk has what the one before it wrote, and the order turns from
round to round. With cold caches: each time after the page cache of the machine was emptied.
"""
import hashlib
import json
import os
import platform
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time
import urllib.request

ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())
LAYER = "application/vnd.oci.image.layer.v1.tar"
IMAGES = 500


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


# --- what is pulled ---------------------------------------------------------------------------------------------------


class Registry:
    def __init__(self, program, work):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.address = f"127.0.0.1:{s.getsockname()[1]}"
        with open(f"{work}/registry.yml", "w") as config:
            config.write(f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {work}/registry}}}}\n"
                         f"http: {{addr: '{self.address}'}}\n")
        self.server = subprocess.Popen([program, "serve", f"{work}/registry.yml"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _ in range(100):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", int(self.address.split(":")[1]))) == 0:
                    return
            time.sleep(0.1)
        sys.exit("the registry does not answer")

    def stop(self):
        self.server.send_signal(signal.SIGTERM)
        self.server.wait()

    def request(self, method, path, data=None, media_type="application/octet-stream"):
        url = path if path.startswith("http") else f"http://{self.address}/v2/{path}"
        return urllib.request.urlopen(urllib.request.Request(url, method=method, data=data, headers={"Content-Type": media_type}))

    def upload(self, name, blob):
        place = self.request("POST", f"{name}/blobs/uploads/", b"").headers["Location"]
        self.request("PUT", f"{place}{'&' if '?' in place else '?'}digest={sha256(blob)}", blob)
        return {"digest": sha256(blob), "size": len(blob)}

    def push(self, name, media_type, layers):
        """An image of (diff id, compressed bytes); its layers' digests."""
        config = json.dumps({"architecture": ARCHITECTURE, "os": "linux", "config": {},
                             "rootfs": {"type": "layers", "diff_ids": [diff_id for diff_id, _ in layers]}}).encode()
        manifest = {"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **self.upload(name, config)},
                    "layers": [{"mediaType": media_type, **self.upload(name, blob)} for _, blob in layers]}
        self.request("PUT", f"{name}/manifests/latest", json.dumps(manifest).encode(), manifest["mediaType"])
        return [layer["digest"] for layer in manifest["layers"]]


def make_layer(work, files, megabytes, seed, compress):
    """(diff id, {program: compressed bytes}, size) of a synthetic tar."""
    tar = f"{work}/layer.tar"
    subprocess.run([sys.executable, os.path.join(os.path.dirname(__file__), "make_layer.py"), tar, str(files), str(megabytes), str(seed)], check=True)
    with open(tar, "rb") as plain:
        diff_id = "sha256:" + hashlib.file_digest(plain, "sha256").hexdigest()
    packed = {line[0]: subprocess.run([*line, "-c", tar], check=True, stdout=subprocess.PIPE).stdout for line in compress}
    size = os.path.getsize(tar)
    os.remove(tar)
    return diff_id, packed, size


def layout_of_many(folder):
    """An OCI layout of IMAGES images that have one small layer in common."""
    os.makedirs(f"{folder}/blobs/sha256")

    def put(data):
        with open(f"{folder}/blobs/sha256/{sha256(data)[7:]}", "wb") as out:
            out.write(data)
        return {"digest": sha256(data), "size": len(data)}

    layer, manifests = bytes(1024), []
    blob = put(layer)
    for i in range(IMAGES):
        config = json.dumps({"architecture": ARCHITECTURE, "os": "linux", "created": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(1.6e9 + i)),
                             "config": {"Cmd": ["sh"]}, "rootfs": {"type": "layers", "diff_ids": [sha256(layer)]}}).encode()
        manifest = json.dumps({"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
                               "config": {"mediaType": "application/vnd.oci.image.config.v1+json", **put(config)},
                               "layers": [{"mediaType": LAYER, **blob}]}).encode()
        manifests.append({"mediaType": "application/vnd.oci.image.manifest.v1+json", **put(manifest),
                          "annotations": {"org.opencontainers.image.ref.name": f"localhost/many:{i}"}})
    for name, value in (("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", {"schemaVersion": 2, "manifests": manifests})):
        with open(f"{folder}/{name}", "w") as out:
            json.dump(value, out)


# --- who pulls it -----------------------------------------------------------------------------------------------------


class Puller:
    """A name, and the shell lines for what it can do: $store is a folder of its own, $image the reference."""

    def __init__(self, name, env=None, **lines):
        self.name, self.env, self.lines = name, {**os.environ, **(env or {})}, lines

    def time(self, what, **variables):
        """Milliseconds, and nothing of what it says."""
        began = time.perf_counter_ns()
        done = subprocess.run(["/bin/sh", "-ec", self.lines[what]], env={**self.env, **variables}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        took = (time.perf_counter_ns() - began) / 1e6
        if done.returncode:
            raise RuntimeError(f"{self.name}: {what}: {done.stderr.strip()}")
        return took


def pullers(args, podman_extra):
    moss = f"XDG_DATA_HOME=$store {args.moss}"
    found = [Puller("moss", pull=f"{moss} pull -q $image", rmi=f"{moss} rmi $image", load=f"{moss} load -q -i $layout",
                    images=f"{moss} images")]
    if podman_extra is not None:
        podman = f"podman --log-level error --root $store/root --runroot {args.run}/$(basename $store) {' '.join(podman_extra)}"
        found.append(Puller("podman", pull=f"{podman} pull -q --tls-verify=false $image", rmi=f"{podman} rmi $image", images=f"{podman} images",
                            load=f"{podman} import -q $layout/one.tar localhost/many:0; "
                                 f"for i in $(seq {IMAGES - 1}); do echo localhost/many:$i; done | xargs {podman} tag localhost/many:0"))
    if shutil.which("skopeo") and shutil.which("umoci"):
        found.append(Puller("skopeo, umoci", pull="skopeo copy -q --src-tls-verify=false docker://$image oci:$store/layout:latest; "
                                                  "umoci unpack --rootless --image $store/layout:latest $store/bundle"))
    if shutil.which("curl") and shutil.which("igzip"):
        found.append(Puller("curl, igzip, tar", bare="mkdir $store/fs; curl -s $url | igzip -dc | tar -xf - -C $store/fs"))
    return found


def pull_in_turn(args, found, registry, image, layers, rounds, cold):
    """{name: [ms]}, each into a store of its own; the last stores stay for what is timed in them."""
    reference, samples, stores = f"{registry.address}/{image}:latest", {}, {}
    url = f"http://{registry.address}/v2/{image}/blobs/{layers[0]}"
    for i in range(rounds):
        turn = i % len(found)
        for puller in found[turn:] + found[:turn]:
            what = "pull" if "pull" in puller.lines else "bare"
            # umoci 0.4 knows no zstd, and the line of tools is for one layer of gzip.
            if image == "zstd" and "," in puller.name or what == "bare" and len(layers) > 1:
                continue
            store = f"{args.work}/{image}-{'cold' if cold else 'warm'}-{i}-{puller.name.split(',')[0]}"
            os.makedirs(store)
            os.sync()
            if cold:
                drop_caches(args.drop_caches)
            samples.setdefault(puller.name, []).append(puller.time(what, store=store, image=reference, url=url))
            stores[puller.name] = store
    return samples, stores


def drop_caches(folder):
    """Asks root, who started the bench and listens, to empty the page cache."""
    with open(f"{folder}/ask", "w") as ask:
        ask.write("now\n")
    with open(f"{folder}/done") as done:
        done.read()


def measure(args, podman_extra):
    registry_program = shutil.which("docker-registry") or shutil.which("registry")
    if not args.moss or not registry_program:
        return None
    registry = Registry(registry_program, args.work)
    try:
        diff_id, packed, size = make_layer(args.work, args.layer_files, args.layer_mb, 1, (["gzip", "-6"], ["zstd", "-3"]))
        layers = {"gzip": registry.push("gzip", LAYER + "+gzip", [(diff_id, packed["gzip"])]),
                  "zstd": registry.push("zstd", LAYER + "+zstd", [(diff_id, packed["zstd"])])}
        parts = [make_layer(args.work, args.layer_files // 20, args.layer_mb / 20, seed, (["gzip", "-6"],)) for seed in range(2, 22)]
        layers["twenty"] = registry.push("twenty", LAYER + "+gzip", [(part[0], part[1]["gzip"]) for part in parts])
        sizes = {"gzip": size, "zstd": size, "twenty": sum(part[2] for part in parts)}

        found, pulls, stores = pullers(args, podman_extra), {}, {}
        for image, digests in layers.items():
            samples, stores[image] = pull_in_turn(args, found, registry, image, digests, args.pulls, cold=False)
            pulls[image] = {"bytes": sizes[image], "ms": {name: summary(s) for name, s in samples.items()}}
            if args.drop_caches:
                samples, _ = pull_in_turn(args, found, registry, image, digests, args.pulls, cold=True)
                pulls[image]["cold_ms"] = {name: summary(s) for name, s in samples.items()}

        # In the stores that were pulled into last.
        other, reference = {"pull again": {}, "images": {}, "rmi": {}}, f"{registry.address}/gzip:latest"
        layout_of_many(f"{args.work}/many")
        subprocess.run(["tar", "-cf", f"{args.work}/many/one.tar", "-C", args.work, "registry.yml"], check=True)
        full = [p for p in found if "rmi" in p.lines]
        for puller in full:
            os.makedirs(f"{args.work}/many-{puller.name}")
            puller.time("load", store=f"{args.work}/many-{puller.name}", layout=f"{args.work}/many")
        for what, place, times in (("pull again", stores["gzip"], 10), ("images", {p.name: f"{args.work}/many-{p.name}" for p in full}, 10),
                                   ("rmi", stores["gzip"], 1)):
            for _ in range(times):
                for puller in full:
                    other[what].setdefault(puller.name, []).append(
                        puller.time(what.split()[0], store=place[puller.name], image=reference))
        peak = {}
        for puller in full:
            store = f"{args.work}/peak-{puller.name}"
            os.makedirs(store)
            line = ["env", f"store={store}", f"image={reference}", args.tree_memory, "/bin/sh", "-ec", puller.lines["pull"]]
            peak[puller.name] = int(subprocess.run(line, env=puller.env, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1])
        return {"pulls": pulls, "other_ms": {what: {n: summary(s) for n, s in of.items()} for what, of in other.items()}, "peak_kib": peak}
    finally:
        registry.stop()


def summary(samples):
    return {"min": round(min(samples), 1), "median": round(statistics.median(samples), 1), "runs": len(samples)}


def markdown(results):
    names = list(dict.fromkeys(name for of in results["pulls"].values() for name in of["ms"]))
    words = {"gzip": "one layer, gzip", "zstd": "one layer, zstd", "twenty": "20 layers, gzip"}
    lines = ["", f"| pull and unpack from a registry on loopback: median (minimum) s | MB | {' | '.join(names)} | podman / moss |",
             "|---|--:|" + "--:|" * (len(names) + 1)]
    for image, of in results["pulls"].items():
        for key, what in (("ms", ""), ("cold_ms", ", cold caches")):
            if key in of:
                cells = [f"{of[key][n]['median'] / 1000:.2f} ({of[key][n]['min'] / 1000:.2f})" if n in of[key] else "–" for n in names]
                ratio = f"{of[key]['podman']['median'] / of[key]['moss']['median']:.1f}" if "podman" in of[key] else "–"
                lines.append(f"| {words[image]}{what} | {of['bytes'] / 1e6:.0f} | {' | '.join(cells)} | {ratio} |")
    names = list(results["peak_kib"])
    words = {"pull again": "pull it again, unchanged", "images": f"`images` of {IMAGES}", "rmi": "`rmi` of the one layer"}
    lines += ["", f"| median (minimum) ms | {' | '.join(names)} |", "|---|" + "--:|" * len(names)]
    for what, of in results["other_ms"].items():
        lines.append(f"| {words[what]} | " + " | ".join(f"{of[n]['median']:.1f} ({of[n]['min']:.1f})" for n in names) + " |")
    lines.append("| peak memory of the pull, MiB | " + " | ".join(f"{results['peak_kib'][n] / 1024:.1f}" for n in names) + " |")
    return lines
