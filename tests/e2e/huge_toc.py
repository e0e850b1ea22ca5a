"""Two zstd:chunked layers whose tables of contents are as large as moss reads them: huge_toc.py.

Each is the layer of an image in an OCI layout, `layout` and `old`. The tables lie: what they say is equal is not, and lies
in another order in each, so that every stretch is a piece of its own.
"""
import hashlib
import json
import os
import random
import struct
import subprocess

STRETCHES = 170_000  # of 150 bytes of text each: more than 24 MiB


def sha256(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def zstd(data):
    return subprocess.run(["zstd", "-q", "-1", "-c"], input=data, stdout=subprocess.PIPE, check=True).stdout


def skippable(data):
    return struct.pack("<II", 0x184D2A50, len(data)) + data


def tar(content):
    header = bytearray(512)
    for at, field in ((0, b"f"), (100, b"0000644"), (124, b"%011o" % len(content)), (156, b"0"), (257, b"ustar\x0000"), (148, b" " * 8)):
        header[at : at + len(field)] = field
    header[148:156] = b"%06o\0 " % sum(header)
    return bytes(header) + content + bytes(-len(content) % 512 + 1024)


def layout(name, keys, seed):
    plain = tar(random.Random(seed).randbytes(24_000_000))
    blob = zstd(plain)
    entries = (
        f'{{"type":"reg","name":"f","size":1,"digest":"sha256:{key:016x}{0:048x}","offset":{100 + i * 90},"endOffset":{190 + i * 90}}}'
        for i, key in enumerate(keys)
    )
    text = '{"version":1,"entries":[%s]}' % ",".join(entries)
    assert len(text) > 24 << 20
    table = zstd(text.encode())
    position = len(blob) + 8
    blob += skippable(table) + skippable(bytes(56) + b"GNUlInUx")
    os.makedirs(f"{name}/blobs/sha256")

    def add(data, kind, **more):
        with open(f"{name}/blobs/sha256/{sha256(data)[7:]}", "wb") as file:
            file.write(data)
        return {"mediaType": f"application/vnd.oci.image.{kind}", "digest": sha256(data), "size": len(data), **more}

    def add_json(document, kind):
        return add(json.dumps(document).encode(), kind)

    layer = add(blob, "layer.v1.tar+zstd", annotations={
        "io.github.containers.zstd-chunked.manifest-position": f"{position}:{len(table)}:{len(text)}:1",
        "io.github.containers.zstd-chunked.manifest-checksum": sha256(table),
    })
    machine = os.uname().machine
    config = add_json({
        "architecture": {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine),
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": [sha256(plain)]},
    }, "config.v1+json")
    manifest = add_json({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": [layer],
    }, "manifest.v1+json")
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "test"}
    for file_name, document in (("oci-layout", {"imageLayoutVersion": "1.0.0"}), ("index.json", {"schemaVersion": 2, "manifests": [manifest]})):
        with open(f"{name}/{file_name}", "w") as file:
            json.dump(document, file)


numbers = [random.Random(i).getrandbits(64) for i in range(STRETCHES)]
layout("layout", numbers, 1)
random.Random(0).shuffle(numbers)
layout("old", numbers, 2)
