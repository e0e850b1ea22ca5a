"""Layers byte by byte, also those that no honest tool would write."""
import gzip as gzip_module
import lzma
import struct
import zlib

BLOCK = 512
TIME = 1_600_000_000


def number(value, width):
    """Octal, or base-256 where octal has too few digits or the value is negative."""
    if 0 <= value < 8 ** (width - 1):
        return b"%0*o\0" % (width - 1, value)
    low = value.to_bytes(width, "big", signed=True)
    return bytes([low[0] | 0x80]) + low[1:]


def header(name, type=b"0", size=0, link=b"", mode=0o644, uid=0, gid=0, mtime=TIME, major=0, minor=0, gnu=False):
    name, link = raw(name), raw(link)
    block = (
        name[:100].ljust(100, b"\0")
        + number(mode, 8)
        + number(uid, 8)
        + number(gid, 8)
        + number(size, 12)
        + number(mtime, 12)
        + b" " * 8
        + type
        + link[:100].ljust(100, b"\0")
        + (b"ustar  \0" if gnu else b"ustar\x0000")
        + b"\0" * 64
        + number(major, 8)
        + number(minor, 8)
    ).ljust(BLOCK, b"\0")
    return checked(block)


def checked(block):
    block = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def raw(text):
    return text if isinstance(text, bytes) else text.encode()


def padded(data):
    return data + b"\0" * (-len(data) % BLOCK)


def file(name, content=b"x", **more):
    content = raw(content)
    return header(name, size=len(content), **more) + padded(content)


def folder(name, mode=0o755):
    return header(name, type=b"5", mode=mode)


def symlink(name, target):
    return header(name, type=b"2", link=target, mode=0o777)


def hard_link(name, target):
    return header(name, type=b"1", link=target)


def record(key, value):
    """A pax record: its length counts itself."""
    rest = len(raw(key)) + len(raw(value)) + 3
    length = rest + 1
    while len(str(length)) + rest != length:
        length += 1
    return b"%d %s=%s\n" % (length, raw(key), raw(value))


def pax(*records, type=b"x"):
    return file("PaxHeaders/x", b"".join(records), type=type)


def long_name(name, type=b"L"):
    """GNU's way of a name (L) or a link (K) over 100 bytes."""
    return file("././@LongLink", raw(name) + b"\0", type=type, gnu=True)


END = b"\0" * 1024


def gzip(data):
    return gzip_module.compress(data, 6, mtime=0)


def zstd(data, window_log=17):
    """A frame of raw and repeated blocks: a decoder cannot tell, and no library is needed to write one."""
    blocks = [data[at : at + (1 << window_log)] for at in range(0, len(data), 1 << window_log)] or [b""]
    out = struct.pack("<IBB", 0xFD2FB528, 0, (window_log - 10) << 3)
    for at, block in enumerate(blocks):
        last = at == len(blocks) - 1
        if len(set(block)) == 1:
            out += struct.pack("<I", last | 1 << 1 | len(block) << 3)[:3] + block[:1]
        else:
            out += struct.pack("<I", last | len(block) << 3)[:3] + block
    return out


def xz_with_dictionary(data, code):
    """A stream that asks for a dictionary of (2 | code & 1) << (code // 2 + 11) bytes, whatever it needs."""
    out = bytearray(lzma.compress(data, preset=0, check=lzma.CHECK_CRC32))
    # Behind the stream's header, the block's: its size / 4 - 1, flags, the filter's id, how many properties, the code.
    size = (out[12] + 1) * 4
    at = 12 + 4 if out[14] == 0x21 else out.index(b"\x21\x01", 12) + 2
    out[at] = code
    struct.pack_into("<I", out, 12 + size - 4, zlib.crc32(bytes(out[12 : 12 + size - 4])))
    return bytes(out)


def zstd_skippable(data=b"anything"):
    return struct.pack("<II", 0x184D2A50, len(data)) + data


COMPRESS = {"plain": lambda data: data, "gzip": gzip, "zstd": zstd}
