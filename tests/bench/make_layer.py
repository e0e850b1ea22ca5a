#!/usr/bin/env python3
"""Write a synthetic layer: make_layer.py OUT.tar [FILES] [MEGABYTES] [SEED].

The same seed gives the same bytes. Files are mixed like a distribution's: many of a few kilobytes, some of hundreds, a
few of megabytes; half of the bytes compress well (repeated words), half do not. Compress it with gzip -6 or zstd -3.
"""
import io
import random
import sys
import tarfile


def main():
    out = sys.argv[1]
    files = int(sys.argv[2]) if len(sys.argv) > 2 else 27_000
    total = int(float(sys.argv[3]) * 1e6) if len(sys.argv) > 3 else 400_000_000
    rng = random.Random(int(sys.argv[4]) if len(sys.argv) > 4 else 1)
    words = [bytes(rng.choices(b"abcdefghijklmnopqrstuvwxyz_", k=rng.randint(2, 11))) for _ in range(4000)]
    text = b" ".join(rng.choices(words, k=1_500_000))
    noise = rng.randbytes(8_000_000)

    sizes = []
    for _ in range(files):
        kind = rng.random()
        if kind < 0.80:
            sizes.append(rng.randint(0, 4_000))
        elif kind < 0.99:
            sizes.append(rng.randint(8_000, 60_000))
        else:
            sizes.append(rng.randint(100_000, 800_000))
    # What is missing to the wanted size goes to forty large files, as libraries do.
    missing = max(0, total - sum(sizes) - 512 * files * 3 // 2)
    for i in rng.sample(range(files), min(40, files)):
        sizes[i] += missing // min(40, files)

    with tarfile.open(out, "w", format=tarfile.PAX_FORMAT) as tar:
        folders = [""]
        for i, size in enumerate(sizes):
            if i % 9 == 0:
                parent = rng.choice(folders[-60:])
                name = f"{parent}{words[rng.randrange(4000)].decode()}{i}/"
                if name.count("/") < 9:
                    folders.append(name)
                    info = tarfile.TarInfo(name)
                    info.type, info.mode, info.mtime = tarfile.DIRTYPE, 0o755, 1_600_000_000 + i
                    tar.addfile(info)
            info = tarfile.TarInfo(f"{folders[-1]}{words[rng.randrange(4000)].decode()}{i}")
            info.size, info.mtime = size, 1_600_000_000 + i
            info.mode = 0o755 if i % 5 == 0 else 0o644
            if i % 50 == 0:
                info.type, info.size, info.linkname = tarfile.SYMTYPE, 0, "../target"
                tar.addfile(info)
                continue
            source = text if i % 2 else noise
            data = b""
            while len(data) < size:
                start = rng.randrange(len(source) - 1000)
                data += source[start : start + size - len(data)]
            tar.addfile(info, io.BytesIO(data))


main()
