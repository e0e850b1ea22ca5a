"""Hostile layers: rows 1 to 62 of the table in README.md.

Each group is a list of (name, image or a function of the victim's path, what is expected); see harness.try_one.
"""
import os
import stat

import tar
from harness import ALL, Image, digest
from tar import END, checked, file, folder, hard_link, header, long_name, pax, record, symlink


def layer(*parts):
    return b"".join(parts) + END


def layers(*parts):
    return Image(layer(*parts))


def has(**names):
    """The layer has these names: a number is a file's size, a text a symlink's target, None nothing at all."""

    def check(at):
        for name, what in names.items():
            path = at(name)
            if what is None:
                assert not os.path.lexists(path), f"{name} is there"
            elif isinstance(what, str):
                assert os.readlink(path) == what.encode(), f"{name} leads to {os.readlink(path)}"
            elif what == "folder":
                assert os.path.isdir(path)
            else:
                assert stat.S_ISREG(os.lstat(path).st_mode), f"{name} is no file"
                assert os.lstat(path).st_size == what, f"{name} has {os.lstat(path).st_size} bytes"

    return check


def refused(words, **more):
    return {"refused": words, **more}


def taken(check=None, **more):
    return {"check": check, **more}


NOT_HERE = "is not in this layer"
FEW = ("registry", "docker-archive")  # what takes time is tried with and without compression

PATHS = [
    ("1 ../ in a name", lambda v: layers(file("../../../../../.." + v + "/keep")), refused(r'must not contain "\.\."')),
    ("2 absolute name", lambda v: layers(file(v + "/keep", "bad")), taken(lambda at: None)),
    ("3 absolute symlink, then through it", lambda v: layers(symlink("l", v), file("l/keep")), refused(NOT_HERE)),
    ("4 symlink upwards", lambda v: layers(symlink("l", "../../../../../../../.." + v), file("l/keep")), refused(NOT_HERE)),
    ("5 symlink in the layer below", lambda v: Image(layer(symlink("l", v)), layer(file("l/keep"))), taken(has(**{"l/keep": 1}))),
    ("6 a/b/../../..", layers(file("a/b/../../../keep")), refused(r'must not contain "\.\."')),
    ("7 no name", layers(file("")), refused("an entry has no name|not a tar archive")),
    ("7 named .", layers(folder("."), file("f")), taken(has(f=1))),
    ("7 named ..", layers(folder("..")), refused(r'must not contain "\.\."')),
    ("7 named /", layers(folder("/"), file("/f")), taken(has(f=1))),
    ("7 a file named .", layers(file(".")), refused("must be a folder")),
    ("8 root is a symlink", lambda v: layers(symlink(".", v), file("keep")), refused("must be a folder")),
    ("8 root is a symlink by its other name", lambda v: layers(symlink("/", v), file("keep")), refused("must be a folder")),
    ("9 root with mode 0", layers(folder(".", 0), file("d/f"), folder("d", 0)), taken()),
    ("10 a file with a slash at its end", layers(file("d/", "", mode=0o755), file("d/f")), taken(has(**{"d/f": 1}))),
    ("11 a name of 256 bytes", layers(long_name("n" * 256), file("x")), refused("File name too long")),
    ("12 a path of 5,000 bytes", layers(long_name("folder/" * 714 + "f"), file("x")), refused("File name too long")),
    ("13 1,200 folders deep", layers(pax(record("path", "d/" * 1200 + "f")), file("x")), taken()),
    ("14 100,000 files in one folder", lambda v: layers(*(file("d/%d" % i, "") for i in range(100_000 if ALL else 10_000))), taken(ways=("registry",))),
    ("15 one name as file, folder and symlink", lambda v: layers(file("n"), folder("n"), symlink("n", v)), taken()),
    ("15 and a file through it", lambda v: layers(file("n"), folder("n"), symlink("n", v), file("n/keep")), refused(NOT_HERE)),
    ("16 folder that a later layer makes a symlink", lambda v: Image(layer(folder("d")), layer(symlink("d", v)), layer(file("d/keep"))), taken(has(**{"d/keep": 1}))),
    ("17 hard link outside", lambda v: layers(hard_link("l", v + "/keep")), refused(NOT_HERE)),
    ("17 hard link upwards", lambda v: layers(hard_link("l", "../../../../../.." + v + "/keep")), refused(r'must not contain "\.\."')),
    ("18 hard link through a symlink", lambda v: layers(symlink("s", v), hard_link("l", "s/keep")), refused(NOT_HERE)),
    ("19 hard link to a symlink, then written", lambda v: layers(symlink("s", v + "/keep"), hard_link("l", "s"), file("l", "bad")), taken(has(l=3))),
    ("20 hard link to itself", layers(hard_link("l", "l")), refused(NOT_HERE)),
    ("20 hard link to what comes later", layers(hard_link("l", "f"), file("f")), refused(NOT_HERE)),
    ("20 hard links in a ring", layers(hard_link("a", "b"), hard_link("b", "a")), refused(NOT_HERE)),
    ("21 hard link to a device", layers(header("n", type=b"3", major=1, minor=3), hard_link("l", "n")), taken(has(n=None, l=None))),
    ("22 symlinks in a ring", layers(symlink("a", "b"), symlink("b", "a"), file("a/f")), refused("Too many levels of symbolic links")),
    ("23 symlink to nothing", layers(symlink("s", "")), refused("a symlink to nowhere")),
    ("24 names that differ in case or form", layers(file("CASE"), file("case"), file("caf\u00e9"), file("cafe\u0301")), taken(has(CASE=1, case=1, **{"caf\u00e9": 1, "cafe\u0301": 1}))),
]

NO_WHITEOUT = "not a name that a whiteout may have"
WHITEOUTS = [
    ("25 .wh...", layers(file(".wh...", "")), refused(NO_WHITEOUT)),
    ("26 .wh..", layers(file("d/.wh..", "")), refused(NO_WHITEOUT)),
    ("27 .wh.", layers(file(".wh.", "")), refused(NO_WHITEOUT)),
    ("28 whiteout through a symlink", lambda v: layers(folder("d"), symlink("l", "d"), file("l/.wh.keep", "")), refused("must not go through")),
    ("28 whiteout through a symlink out", lambda v: layers(symlink("l", v), file("l/.wh.keep", "")), refused("must not go through|is not in this layer")),
    ("29 opaque mark through a symlink", lambda v: layers(symlink("l", v), file("l/.wh..wh..opq", "")), refused("must not go through|is not in this layer")),
    ("30 opaque root", Image(layer(file("old")), layer(file(".wh..wh..opq", ""), file("new"))), taken()),
    ("31 whiteout, then the file", layers(file(".wh.f", ""), file("f")), taken(has(f=1))),
    ("31 file, then its whiteout", layers(file("f"), file(".wh.f", "")), taken(has(f=1))),
    ("32 whiteout of its own parent", layers(file("d/f"), file(".wh.d", "")), taken(has(**{"d/f": 1}))),
    ("32 whiteout inside what is whited out", layers(file("a/.wh.b/f")), refused(NO_WHITEOUT)),
    ("33 aufs' links", layers(folder(".wh..wh.plnk"), file(".wh..wh.plnk/1.2"), file("f")), taken(has(f=1, **{".wh..wh.plnk": None}))),
    ("34 whiteout that is a folder", layers(folder(".wh.d")), refused("must be a regular file")),
    ("34 whiteout that is a symlink", lambda v: layers(symlink(".wh.d", v)), refused("must be a regular file")),
    ("35 overlayfs' own whiteout", layers(header("f", type=b"3")), refused("raw overlayfs whiteout")),
    (
        "36 overlayfs' own attributes",
        lambda v: layers(
            pax(*(record("SCHILY.xattr." + name, value) for name, value in (
                ("user.overlay.opaque", "y"), ("user.overlay.redirect", v), ("user.overlay.metacopy", ""),
                ("trusted.overlay.opaque", "y"), ("trusted.overlay.redirect", v), ("user.kept", "yes")))),
            folder("d"),
        ),
        taken(lambda at: check_attributes(at("d"), ["user.kept"])),
    ),
]


def check_attributes(path, expected):
    try:
        found = sorted(name for name in os.listxattr(path) if not name.startswith("security."))
    except PermissionError:
        return
    assert found in (expected, []), f"attributes {found}"


def mode_is(name, mode):
    def check(at):
        assert stat.S_IMODE(os.lstat(at(name)).st_mode) == mode

    return check


# VFS_CAP_REVISION_3, cap_setuid, and a root id that is nobody's.
V3_CAPABILITY = (0x03000001).to_bytes(4, "little") + (0x80).to_bytes(4, "little") + b"\0" * 12 + (2**31).to_bytes(4, "little")


def sparse(size):
    """GNU's old form: one piece at the end of a file of this size."""
    block = bytearray(header("f", type=b"S", size=512, gnu=True))
    block[386:398] = tar.number(size - 512, 12)
    block[398:410] = tar.number(512, 12)
    block[483:495] = tar.number(size, 12)
    return checked(bytes(block)) + b"x" * 512


def with_size(text):
    block = bytearray(header("f"))
    block[124:136] = text
    return checked(bytes(block))


# An owner that no map has is no matter where all ids are one.
OWNER = "is not among the ids that are mapped"

TYPES = [
    ("37 devices", layers(header("c", type=b"3", major=1, minor=3), header("b", type=b"4", major=8), file("f")), taken(has(f=1, c=None, b=None))),
    ("38 fifo", layers(header("p", type=b"6"), hard_link("q", "p"), file("p", "now a file")), taken(has(p=10))),
    ("40 unknown type", layers(file("f", type=b"Q")), taken(has(f=1))),
    ("41 set-user-id", layers(file("f", mode=0o6755)), taken(mode_is("f", 0o6755))),
    ("42 capability with a root id", layers(pax(record("SCHILY.xattr.security.capability", V3_CAPABILITY)), file("f")), taken(has(f=1))),
    ("43 owner beyond the map", layers(file("f", uid=2**31 + 5)), refused(OWNER)),
    ("43 owner of 64 bits", layers(pax(record("uid", str(2**64 + 1))), file("f")), refused(OWNER + "|Damaged|Malformed")),
    ("44 time before all time", layers(file("f", mtime=-(2**40)), pax(record("mtime", "-1099511627776.5")), file("g")), taken(has(f=1, g=1))),
    ("44 time after all time", layers(file("f", mtime=2**40), pax(record("mtime", "9" * 30)), file("g")), taken(has(f=1, g=1))),
    ("45 flood of attributes", lambda v: layers(pax(*(record("SCHILY.xattr.user.a%d" % i, b"v" * 65_000) for i in range(1000))), file("f")), refused("Argument list too long|too (long|large|big|many)|No space left|Damaged|damaged|exceeds", ways=FEW)),
    ("46 bytes that are no text", layers(file(b"\xff\xfe\x80"), pax(record("path", b"\xc3\x28")), file("x")), taken(has(**{}))),
    ("47 line end and escape in a name", layers(file("a\n\x1b[31mb")), taken()),
    ("47 and in an error", layers(file("../a\n\x1b[31mb")), refused(r"\\x0a\\x1b\[31m")),
    ("48 NUL in a pax path", lambda v: layers(pax(record("path", b"in\0/../../" + v.encode())), file("f")), taken(has(**{"in": 1}))),
    ("49 pax size that overflows", layers(pax(record("size", str(2**64))), file("f")), refused("read the layer|limit")),
    ("49 pax size that is negative", layers(pax(record("size", "-1")), file("f")), refused("read the layer|limit")),
    ("50 global pax path", lambda v: layers(pax(record("path", "../../../.." + v + "/keep"), type=b"g"), file("f")), taken(has(f=1))),
    ("51 name of 10 MB", lambda v: layers(long_name("n" * 10_000_000), file("f")), refused("too long|too large|Damaged|memory", ways=FEW)),
    ("51 link of 10 MB", lambda v: layers(long_name("n" * 10_000_000, b"K"), symlink("s", "x")), refused("too long|too large|Damaged|memory", ways=FEW)),
    ("52 sparse pebibyte", layers(sparse(1 << 50)), refused("limit")),
    ("53 wrong checksum", Image(header("f", size=1)[:148] + b"0000000\0" + header("f", size=1)[156:] + END), refused("not a tar archive|read the layer")),
    ("54 cut off", Image(file("f", "x" * 2000)[:1500]), refused("read the layer|cut off")),
    ("54 without its end mark", Image(file("f")), taken(has(f=1))),
    ("54 something after its end", Image(layer(file("f")) + b"garbage" * 1000), taken(has(f=1))),
    ("55 negative size", Image(with_size(b"\xff" * 12) + END), refused("read the layer")),
    ("55 size of all digits", Image(with_size(b"\x80" + b"\xff" * 11) + END), refused("read the layer|limit")),
]

TAR = layer(file("f"))
NOISE = os.urandom(40_000)
LONG = layer(file("f", NOISE))
BOMB = None
BOMB_BYTES = 700_000_256 if ALL else 300_000_256


def bomb(_):
    """700 MB of zeros, or little more than what is let pass unasked."""
    global BOMB
    BOMB = BOMB or layer(header("f", size=BOMB_BYTES), b"\0" * BOMB_BYTES, b"\0" * (-BOMB_BYTES % 512))
    return Image(BOMB)


def zstd_frame_with_window(log):
    return b"\x28\xb5\x2f\xfd\x00" + bytes([(log - 10) << 3]) + b"\x01\x00\x00"


ONLY_REGISTRY = ("registry", "oci-archive")
COMPRESSION = [
    ("56 gzip cut off", Image((LONG, tar.gzip(LONG)[:-20_000])), refused("cut off", ways=ONLY_REGISTRY)),
    ("56 gzip without its last byte", Image((LONG, tar.gzip(LONG)[:-1])), refused("cut off", ways=ONLY_REGISTRY)),
    ("56 zstd cut off", Image((LONG, tar.zstd(LONG)[:-20_000])), refused("cut off", ways=("oci",))),
    ("57 a second gzip member", Image((LONG, tar.gzip(LONG[:3000]) + tar.gzip(LONG[3000:]))), taken(has(f=40_000), ways=ONLY_REGISTRY)),
    ("57 garbage after gzip", Image((LONG, tar.gzip(LONG) + b"garbage")), refused("something else follows its end", ways=ONLY_REGISTRY)),
    ("58 bomb of 700 MB", bomb, refused("bomb", ways=("registry", "oci"))),
    ("59 zstd window of 2 GB", Image((TAR, zstd_frame_with_window(31) + b"rest")), refused("too much memory|window", ways=("oci",))),
    ("59 zstd window of 128 MB", Image((TAR, zstd_frame_with_window(27) + b"rest")), refused("too much memory|window", ways=("oci",))),
    ("60 skippable frames", Image((LONG, tar.zstd_skippable() + tar.zstd(LONG[:9000]) + tar.zstd_skippable() + tar.zstd(LONG[9000:]) + tar.zstd_skippable())), taken(has(f=40_000), ways=("oci",))),
    ("61 bzip2 named gzip", Image((TAR, b"BZh91AY&SY" + NOISE[:100])), refused("bzip2 layers are not supported", ways=ONLY_REGISTRY)),
    ("61 xz named gzip", Image((TAR, b"\xfd7zXZ\0" + NOISE[:100])), refused("xz layers are not supported", ways=ONLY_REGISTRY)),
    ("61 gzip named zstd", Image((LONG, tar.gzip(LONG))), taken(has(f=40_000), ways=("oci",))),
    ("61 plain named gzip", Image((TAR, TAR)), taken(has(f=1), ways=ONLY_REGISTRY)),
    (
        "62 a table of contents that is not the tar's",
        Image((LONG, tar.zstd(LONG) + tar.zstd_skippable(b'{"version":1,"entries":[{"type":"reg","name":"evil","size":1}]}')),
              manifest=lambda m, _: m["layers"][0].update(annotations={
                  "io.github.containers.zstd-chunked.manifest-checksum": digest(b"x"),
                  "io.github.containers.zstd-chunked.manifest-position": "0:60:60:1"})),
        taken(has(f=40_000, evil=None), ways=("oci",)),
    ),
    ("a wrong checksum in gzip", Image((LONG, tar.gzip(LONG)[:-8] + b"\0\0\0\0" + tar.gzip(LONG)[-4:])), refused("data check", ways=ONLY_REGISTRY)),
]
