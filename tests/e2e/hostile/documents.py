"""Hostile documents: rows 63 to 92 of the table in README.md, as far as they are decided before a container runs.

The same form as layers.py. Docker's archives have no manifest of OCI's, so most are offered in the three other ways.
"""
import json
import lzma

import tar
from harness import INDEX, MANIFEST, Image, digest
from layers import BOMB_BYTES, TAR, has, layer, refused, sparse, taken, zstd_frame_with_window

OCI = ("oci", "oci-archive", "registry")
FILES = ("oci", "oci-archive")
NONSENSE = "sha256:" + "0" * 64


def on_manifest(change):
    """`change` is given the manifest."""
    return Image(manifest=lambda manifest, _: change(manifest))


def on_config(change, **more):
    return Image(config=change, **more)


def entry_as(**changes):
    """The entry of index.json lies."""

    def edit(layout, entry):
        entry.update(changes)

    return Image(edit=edit)


def other_manifest(data, media_type=MANIFEST):
    """This text in the manifest's place, well described."""

    def edit(layout, entry):
        layout.index = {"schemaVersion": 2, "manifests": [layout.blob(data, media_type)]}

    return Image(edit=edit)


def changed_layer(data):
    """Other bytes under the layer's digest."""

    def edit(layout, entry):
        manifest = json.loads(layout.blobs[entry["digest"]])
        layout.blobs[manifest["layers"][0]["digest"]] = data(layout.blobs[manifest["layers"][0]["digest"]])

    return Image(edit=edit)


def changed_config(layout, entry):
    manifest = json.loads(layout.blobs[entry["digest"]])
    name = manifest["config"]["digest"]
    layout.blobs[name] = layout.blobs[name].replace(b'"true"', b'"evil"')


def layer_is(**changes):
    return on_manifest(lambda m: m["layers"][0].update(changes))


def longer(by):
    return on_manifest(lambda m: m["layers"][0].update(size=m["layers"][0]["size"] + by))


def config_longer(by):
    return on_manifest(lambda m: m["config"].update(size=m["config"]["size"] + by))


def diff_ids(change):
    return on_config(lambda c: c["rootfs"].update(diff_ids=change(c["rootfs"]["diff_ids"])))


def nested(depth):
    """Lists in lists, the image in the innermost."""

    def edit(layout, entry):
        for _ in range(depth):
            entry = layout.document({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}, INDEX)
        layout.index = {"schemaVersion": 2, "manifests": [entry]}

    return Image(edit=edit)


def for_platform(**platform):
    def edit(layout, entry):
        listed = layout.document({"schemaVersion": 2, "mediaType": INDEX, "manifests": [{**entry, "platform": platform}]}, INDEX)
        layout.index = {"schemaVersion": 2, "manifests": [listed]}

    return Image(edit=edit)


def endless_manifest(layout, entry):
    """A manifest of 1 GB: a file with a hole, or an answer that does not end."""
    layout.blobs[entry["digest"]] = 1 << 30
    entry["size"] = 1 << 30


def endless_but_small(layout, entry):
    layout.blobs[entry["digest"]] = 1 << 30


def endless_config(layout, entry):
    manifest = json.loads(layout.blobs[entry["digest"]])
    layout.blobs[manifest["config"]["digest"]] = 1 << 30


def both(manifest, _):
    return {**manifest, "manifests": [manifest["config"]]}


def text(change):
    """The manifest's text, changed."""

    def edit(layout, entry):
        layout.index = {"schemaVersion": 2, "manifests": [layout.blob(change(layout.blobs[entry["digest"]]), MANIFEST)]}

    return Image(edit=edit)


PROMISED = "it was promised with; refused|bytes of|promised"
DIGEST = r"sha256: and 64|digest"

MANIFESTS = [
    ("63 wrong layer", changed_layer(lambda data: data[:-1] + bytes([data[-1] ^ 1])), refused("has the digest", ways=OCI)),
    ("63 wrong config", Image(edit=changed_config), refused("has the digest", ways=OCI)),
    ("63 wrong manifest", Image(edit=lambda layout, entry: layout.blobs.update({entry["digest"]: layout.blobs[entry["digest"]].replace(b"2", b"3", 1)})), refused("has the digest|schemaVersion", ways=FILES)),
    ("64 layer larger than its size", longer(-1), refused("promised|larger", ways=OCI)),
    ("64 layer smaller than its size", longer(1), refused("promised|ends after", ways=OCI)),
    ("64 config larger than its size", config_longer(-1), refused("promised|larger", ways=OCI)),
    ("64 config smaller than its size", config_longer(1), refused("promised", ways=OCI)),
    ("64 manifest of another size", entry_as(size=7), refused("promised|larger", ways=FILES)),
    ("64 layer cut off", changed_layer(lambda data: data[: len(data) // 2]), refused("promised|ends after", ways=OCI)),
    ("64 layer with more behind", changed_layer(lambda data: data + b"\0" * 100_000), refused("promised|larger", ways=OCI)),
    ("64 size of 2^63", layer_is(size=2**63), refused("size: expected", ways=OCI)),
    ("64 size below 0", layer_is(size=-1), refused("size: expected", ways=OCI)),
    ("65 wrong diff id", diff_ids(lambda ids: [NONSENSE]), refused("but the config says sha256:0000")),
    ("66 no diff ids", diff_ids(lambda ids: []), refused("1 layers and the config 0 diff ids")),
    ("66 a diff id too many", diff_ids(lambda ids: ids * 2), refused("1 layers and the config 2 diff ids")),
    ("66 no rootfs", on_config(lambda c: c.pop("rootfs") and c), refused("rootfs")),
    ("67 digest that is a path", layer_is(digest="sha256:../../../../../etc/passwd"), refused(DIGEST, ways=OCI)),
    ("67 config's digest is a path", on_manifest(lambda m: m["config"].update(digest="sha256:../../../../../etc/passwd")), refused(DIGEST, ways=OCI)),
    ("67 manifest's digest is a path", entry_as(digest="sha256:../../../../../etc/passwd"), refused(DIGEST, ways=FILES)),
    ("67 diff id that is a path", diff_ids(lambda ids: ["sha256:../../../../../tmp/x"]), refused(DIGEST)),
    ("68 md5", layer_is(digest="md5:d41d8cd98f00b204e9800998ecf8427e"), refused(DIGEST, ways=OCI)),
    ("68 unknown algorithm", layer_is(digest="sha3:" + "0" * 64), refused(DIGEST, ways=OCI)),
    ("68 capital digits", on_manifest(lambda m: m["layers"][0].update(digest=m["layers"][0]["digest"].upper())), refused(DIGEST, ways=OCI)),
    ("69 5,000 layers", Image(manifest=lambda m, _: m.update(layers=m["layers"] * 5000), config=lambda c: c["rootfs"].update(diff_ids=c["rootfs"]["diff_ids"] * 5000)), refused("5000 layers; moss takes at most", ways=OCI)),
    ("69 5,000 layers in an archive", Image(*[TAR] * 5000), refused("layers; moss takes at most", ways=("docker-archive",))),
    ("70 200,000 lists deep", other_manifest(b'{"schemaVersion":2,"x":' + b"[" * 200_000 + b"]" * 200_000 + b"}"), refused("deep|neither a manifest", ways=OCI)),
    ("70 2,000,000 lists deep", other_manifest(b'{"schemaVersion":2,"layers":' + b"[" * 4_000_000), refused("deep|neither|not a JSON|larger", ways=OCI)),
    ("70 4 MB of small lists", other_manifest(b'{"schemaVersion":2,"layers":[' + b"[]," * 1_390_000 + b"0]}"), refused("layers|config", ways=OCI)),
    ("70 config 200,000 deep", on_config(lambda c: b'{"config":' * 200_000 + b"1" + b"}" * 200_000), refused("deep|expected")),
    ("70 4 MB of addresses", on_manifest(lambda m: m["layers"][0].update(urls=[""] * 99_000) or m.update(layers=m["layers"] * 12)), refused("elements in the document", ways=OCI)),
    ("70 4 MB of annotations", on_manifest(lambda m: m.update(layers=[{**m["layers"][0], "annotations": {"%x" % i: "" for i in range(90_000)}}] * 3)), refused("elements in the document", ways=OCI)),
    ("70 config of 8 MB of small things", on_config(lambda c: c["config"].update({key: [""] * 99_000 for key in ("Env", "Cmd", "Entrypoint", "OnBuild", "Shell")}, Labels={"%x" % i: "" for i in range(99_000)}, Volumes={"%x" % i: {} for i in range(99_000)})), refused("elements in the document")),
    ("70 index.json of 8 MB of small things", Image(edit=lambda layout, entry: layout.index["manifests"].extend([{**entry, "annotations": {"%x" % i: "" for i in range(90_000)}}] * 7)), refused("elements in the document", ways=FILES)),
    ("71 manifest and list in one", Image(manifest=both), refused("also a list|ambiguous|both", ways=OCI)),
    ("71 a list called a manifest", other_manifest(json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "manifests": []}).encode()), refused("ambiguous|does not fit", ways=OCI)),
    ("72 200 lists in lists", nested(200), refused("lists of lists", ways=OCI)),
    ("73 layer at another address", Image(manifest=lambda m, layout: (m["layers"][0].update(urls=["file:///etc/passwd", "http://127.0.0.1:1/x"]), layout.blobs.pop(m["layers"][0]["digest"]), None)[2]), refused("No such file|no blobs|not there", ways=OCI)),
    ("73 foreign layer at another address", Image(manifest=lambda m, layout: (m["layers"][0].update(mediaType="application/vnd.docker.image.rootfs.foreign.diff.tar.gzip", urls=["file:///etc/passwd"]), layout.blobs.pop(m["layers"][0]["digest"]), None)[2]), refused("No such file|no blobs|not there", ways=OCI)),
    ("74 manifest of 1 GB", Image(edit=endless_manifest), refused("manifest|larger", ways=("oci", "registry"))),
    ("74 manifest of 1 GB that is called small", Image(edit=endless_but_small), refused("promised|larger|too large", ways=("oci", "registry"))),
    ("74 config of 1 GB that is called small", Image(edit=endless_config), refused("promised|larger|too large", ways=("oci", "registry"))),
    ("74 config of 8 MB", on_config(lambda c: c.update(history=[{"comment": "x" * 100}] * 80_000)), refused("larger|EFBIG|too large")),
    ("74 index.json of 1 GB", Image(edit=lambda layout, _: setattr(layout, "index", b" " * (9 << 20))), refused("larger|too large", ways=FILES)),
    ("75 layers twice", text(lambda t: t[:-1] + b',"layers":[]}'), refused("twice", ways=OCI)),
    ("75 digest twice in a descriptor", text(lambda t: t.replace(b'"digest":', b'"digest":"%s","digest":' % NONSENSE.encode(), 1)), refused("twice", ways=OCI)),
    ("76 size 1e308", text(lambda t: t.replace(b'"size":', b'"size":1e308,"_":', 1)), refused("size: expected", ways=OCI)),
    ("76 size NaN", text(lambda t: t.replace(b'"size":', b'"size":NaN,"_":', 1)), refused("JSON|syntax|parse|expected", ways=OCI)),
    ("76 size -0", text(lambda t: t.replace(b'"size":', b'"size":-0,"_":', 1)), refused("size: expected", ways=OCI)),
    ("76 size 1.0", text(lambda t: t.replace(b'"size":', b'"size":1.0,"_":', 1)), refused("size: expected", ways=OCI)),
    ("77 layer of an unknown type", layer_is(mediaType="application/vnd.example.layer"), refused("is not known", ways=OCI)),
    ("77 layer without a type", on_manifest(lambda m: m["layers"][0].pop("mediaType") and None), refused("mediaType", ways=OCI)),
    ("77 no image but a chart", on_manifest(lambda m: m["config"].update(mediaType="application/vnd.cncf.helm.config.v1+json")), refused("not a container image", ways=OCI)),
    ("77 manifest of an unknown type", on_manifest(lambda m: m.update(mediaType="application/x-unknown")), refused("media type", ways=OCI)),
    ("77 manifest without a type", on_manifest(lambda m: m.pop("mediaType") and None), taken(has(f=1), ways=OCI)),
    ("78 no image for this machine", for_platform(architecture="s390x", os="plan9"), refused("no image for linux/", ways=("registry", "oci"))),
    ("79 schema 1", other_manifest(b'{"schemaVersion":1,"name":"x","tag":"y","fsLayers":[],"history":[]}'), refused("push it again|push the image again", ways=OCI)),
    ("80 annotation of 10 MB", on_manifest(lambda m: m.update(annotations={"a": "x" * 10_000_000})), refused("larger|too large|manifest", ways=OCI)),
    ("80 annotation of 3 MB", on_manifest(lambda m: m.update(annotations={"a": "x" * 3_000_000})), taken(has(f=1), ways=OCI)),
    ("81 a name in index.json that is a path", entry_as(annotations={"org.opencontainers.image.ref.name": "../../../x", "io.containerd.image.name": "/etc/passwd"}), taken(has(f=1), ways=FILES)),
    ("81 a name in index.json with a line end", entry_as(annotations={"org.opencontainers.image.ref.name": "a\n\x1b[31mb"}), taken(has(f=1), ways=FILES)),
    ("a config that is the layer", on_manifest(lambda m: m["config"].update(digest=m["layers"][0]["digest"], size=m["layers"][0]["size"])), refused("image config|config", ways=OCI)),
    ("one layer under two sizes", on_manifest(lambda m: m["layers"].append({**m["layers"][0], "size": m["layers"][0]["size"] + 1})), refused("layers and the config|promised|size", ways=OCI)),
    ("not JSON", other_manifest(b"<html>nothing here</html>"), refused("not a JSON|manifest", ways=OCI)),
    ("JSON, then more", text(lambda t: t + b"{}"), refused("JSON|manifest", ways=OCI)),
    ("text that is no UTF-8", text(lambda t: t[:-1] + b',"annotations":{"a":"\xff\xfe"}}'), refused("UTF-8|JSON|text", ways=OCI)),
]


def docker(manifest, *more):
    """Docker's archive with this manifest.json and other files."""
    return layer(*more, tar.file("manifest.json", manifest if isinstance(manifest, bytes) else json.dumps(manifest)))


def tagged(tag):
    config = {"architecture": "amd64", "os": "linux", "config": {}, "rootfs": {"type": "layers", "diff_ids": [digest(TAR)]}}
    entry = {"Config": "c", "RepoTags": [tag], "Layers": ["l"]}
    return docker([entry], tar.file("c", json.dumps(config)), tar.file("l", TAR))


NAME = "bad image name|RepoTags"
# Whole files, by `load -i`: what only an archive can be.
ARCHIVES = [
    ("81 tag with ../", tagged("../../../x:1"), refused(NAME)),
    ("81 tag with a slash", tagged("app:../../x"), refused(NAME)),
    ("81 tag with a line end", tagged("app:1\nx"), refused(NAME)),
    ("81 tag of 10,000 bytes", tagged("a" * 10_000), refused(NAME)),
    ("70 manifest.json 4,000,000 deep", docker(b"[" * 4_000_000), refused("manifest.json")),
    ("70 manifest.json of 8 MB of small lists", docker(b"[" + b"[]," * 2_790_000 + b"0]"), refused("manifest.json")),
    ("70 manifest.json of 100,000 images", docker([{"Config": "c", "Layers": []}] * 100_000), refused("manifest.json")),
    ("74 manifest.json of 9 MB", docker(b" " * (9 << 20)), refused("larger|too large")),
    ("58 bomb in the archive's own compression", lambda _: tar.gzip(layer(tar.header("f", size=BOMB_BYTES), b"\0" * BOMB_BYTES)), refused("bomb|ratio")),
    ("58 bomb in xz", lambda _: lzma.compress(layer(tar.header("f", size=BOMB_BYTES), b"\0" * BOMB_BYTES), preset=0), refused("bomb|ratio")),
    ("59 xz with a dictionary of 1 GB", lambda _: tar.xz_with_dictionary(tagged("app:1"), 36), refused("needs 1025 MiB of memory")),
    ("59 xz with a dictionary of 64 MB, as xz -9 has", lambda _: tar.xz_with_dictionary(tagged("app:1"), 28), refused("decompress it first")),
    ("59 xz with a dictionary of 32 MB", lambda _: tar.xz_with_dictionary(tagged("app:1"), 26), taken()),
    ("59 zstd window of 128 MB in the archive's own compression", lambda _: zstd_frame_with_window(27), refused("archive's zstd data needs a window")),
    ("56 xz cut off", lambda _: lzma.compress(tagged("app:1"))[:-20], refused("cut off")),
    ("56 gzip cut off", lambda _: tar.gzip(tagged("app:1"))[:-20], refused("cut off")),
    ("gzip in gzip", lambda _: tar.gzip(tar.gzip(tagged("app:1"))), refused("not an archive")),
    ("67 a layer's name that leads out", docker([{"Config": "c", "Layers": ["../../../../etc/passwd"]}], tar.file("c", "{}")), refused("the archive has no")),
    ("67 a config's name that leads out", docker([{"Config": "/../../etc/passwd", "Layers": []}]), refused("the archive has no")),
    ("an index.json that is a symlink out", layer(tar.file("oci-layout", '{"imageLayoutVersion":"1.0.0"}'), tar.symlink("index.json", "/etc/passwd")), refused("neither|index.json")),
    ("blobs that are a symlink out", layer(tar.file("oci-layout", '{"imageLayoutVersion":"1.0.0"}'), tar.file("index.json", json.dumps({"schemaVersion": 2, "manifests": [{"mediaType": MANIFEST, "digest": NONSENSE, "size": 2}]})), tar.symlink("blobs", "/proc/self")), refused("the archive has no")),
    ("symlinks in a ring", docker([{"Config": "a", "Layers": []}], tar.symlink("a", "b"), tar.symlink("b", "a")), refused("the archive has no a")),
    ("a config that is a symlink out", docker([{"Config": "c", "Layers": []}], tar.symlink("c", "/etc/passwd")), refused("the archive has no c")),
    ("a layer that is a hard link out", docker([{"Config": "c", "Layers": ["l"]}], tar.file("c", "{}"), tar.hard_link("l", "/etc/passwd")), refused("the archive has no l")),
    ("a layer that is a fifo", docker([{"Config": "c", "Layers": ["l"]}], tar.file("c", "{}"), tar.header("l", type=b"6")), refused("the archive has no l")),
    ("a sparse pebibyte in the archive", lambda _: layer(sparse(1 << 50)), refused("more than is allowed|larger|limit|no such|neither")),
    ("100,001 names of 4,000 bytes", lambda _: tar.gzip(b"".join(tar.long_name("%04000d" % i) + tar.symlink("x", "y") for i in range(30_000)) + tar.END), refused("too many|names|neither")),
    ("cut off", docker([{"Config": "c", "Layers": []}], tar.file("c", "{}"))[:700], refused("damaged|not an archive|neither")),
]


def ran(**config):
    """An image whose config's "config" has these members."""
    return on_config(lambda c: c["config"].update(config))


# What is refused before a container runs; how the rest is treated is tests/e2e/hostile_configs.bats.
CONFIGS = [
    ("83 NUL in the command", ran(Cmd=["a\0b"]), refused("NUL")),
    ("83 NUL in the environment", ran(Env=["A=\0"]), refused("NUL")),
    ("config that is a list", on_config(lambda c: b"[]"), refused("image config|expected")),
    ("config of numbers for texts", ran(User=0), refused("config.User: expected")),
    ("config without an end", on_config(lambda c: b'{"architecture":"amd64"'), refused("image config")),
    ("no config", on_config(lambda c: b""), refused("image config")),
]
