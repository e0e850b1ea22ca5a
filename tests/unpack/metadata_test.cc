// Types, owners, times, attributes; and tar headers that lie.
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <sys/xattr.h>

#include "layer_fixture.hh"

namespace moss::test {
namespace {

using testing::HasSubstr;

class LayerMetadata : public LayerTest {
 protected:
  std::string attributes(const std::string& name) {
    char names[4096];
    const ssize_t size = ::llistxattr((destination() + "/" + name).c_str(), names, sizeof names);
    if (size < 0) return "unreadable";
    std::string text;
    for (const std::string_view part : split(std::string_view(names, static_cast<size_t>(size)), '\0')) {
      if (part.empty() || part == "security.selinux") continue;
      char value[256];
      const ssize_t length =
          ::lgetxattr((destination() + "/" + name).c_str(), std::string(part).c_str(), value, sizeof value);
      text += cat(part, '=', std::string_view(value, static_cast<size_t>(std::max<ssize_t>(length, 0))), ' ');
    }
    return text;
  }
  struct stat look(const std::string& name) {
    struct stat status{};
    EXPECT_EQ(::lstat((destination() + "/" + name).c_str(), &status), 0) << name;
    return status;
  }
};

TEST_F(LayerMetadata, ModesAreKeptWholly) {
  const Outcome out = unpack(TarWriter()
                                 .file("suid", "x", 04755)
                                 .file("sgid", "x", 02755)
                                 .file("open", "x", 0666)
                                 .file("shut", "x", 0)
                                 .folder("tmp", 01777)
                                 .folder("group", 02775)
                                 .file("group/f", "x")
                                 .folder("group/d", 0755)
                                 .finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.tree,
            "755 /\n2775 group/\n755 group/d/\n644 group/f: x\n666 open: x\n2755 sgid: x\n0 shut: x\n4755 suid: x\n"
            "1777 tmp/\n");
}

TEST_F(LayerMetadata, TimesAreKeptForFoldersToo) {
  const std::string nanoseconds = TarWriter::record("mtime", "1500000000.123456789");
  const Outcome out = unpack(TarWriter()
                                 .header({.name = "d", .type = '5', .mode = 0755, .mtime = 1'400'000'000})
                                 .file_as({.name = "d/f", .mtime = 1'300'000'000}, "x")
                                 .header({.name = "d/l", .type = '2', .link = "f", .mtime = 1'200'000'000})
                                 .pax(nanoseconds)
                                 .file("d/n", "x")
                                 .finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(look("d").st_mtim.tv_sec, 1'400'000'000);
  EXPECT_EQ(look("d/f").st_mtim.tv_sec, 1'300'000'000);
  EXPECT_EQ(look("d/l").st_mtim.tv_sec, 1'200'000'000);
  EXPECT_EQ(look("d/n").st_mtim.tv_nsec, 123456789);
}

TEST_F(LayerMetadata, StrangeTimesAreNoError) {
  EXPECT_EQ(unpack(TarWriter().file_as({.name = "f", .mtime = -1}, "x").finish()).error, "");
  EXPECT_EQ(unpack(TarWriter().file_as({.name = "f", .mtime = int64_t{1} << 40}, "x").finish()).error, "");
  EXPECT_EQ(unpack(TarWriter().pax(TarWriter::record("mtime", "-1099511627776.5")).file("f", "x").finish()).error, "");
}

TEST_F(LayerMetadata, DevicesAreLeftOutAndCounted) {
  const Outcome out = unpack(TarWriter()
                                 .header({.name = "dev/null", .type = '3', .major = 1, .minor = 3})
                                 .header({.name = "dev/sda", .type = '4', .major = 8})
                                 .hard_link("dev/zero", "dev/null")
                                 .file("f", "x")
                                 .finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.tree, "755 /\n644 f: x\n");
  EXPECT_EQ(out.warnings, "3 device files left out: only real root can make them\n");
}

TEST_F(LayerMetadata, FifosDoNotBlock) {
  const Outcome out = unpack(TarWriter().header({.name = "p", .type = '6'}).hard_link("q", "p").finish());
  EXPECT_EQ(out.tree, "755 /\nfifo p\nfifo q\n");
}

TEST_F(LayerMetadata, FifoIsReplacedNotWrittenTo) {
  EXPECT_EQ(unpack(TarWriter().header({.name = "p", .type = '6'}).file("p", "x").finish()).tree, "755 /\n644 p: x\n");
}

TEST_F(LayerMetadata, UnknownTypeIsARegularFile) {
  // POSIX pax, "ustar Interchange Format": an unknown typeflag is to be read as a regular file.
  EXPECT_EQ(unpack(TarWriter().file_as({.name = "f", .type = 'Q'}, "x").finish()).tree, "755 /\n644 f: x\n");
}

TEST_F(LayerMetadata, UserAttributesAreKept) {
  const Outcome out = unpack(TarWriter()
                                 .pax(TarWriter::record("SCHILY.xattr.user.note", "text"))
                                 .file("f", "x")
                                 .pax(TarWriter::record("SCHILY.xattr.user.note", "text"))
                                 .folder("d")
                                 .finish());
  EXPECT_EQ(out.error, "");
  if (out.warnings != "") GTEST_SKIP() << "the temporary folder's file system has no user.* attributes";
  EXPECT_EQ(attributes("f"), "user.note=text ");
  EXPECT_EQ(attributes("d"), "user.note=text ");
}

TEST_F(LayerMetadata, AttributesThatSteerTheMachineAreStripped) {
  std::string records;
  for (const char* name :
       {"user.overlay.redirect", "user.overlay.opaque", "user.overlay.whiteout", "trusted.overlay.opaque", "trusted.x",
        "security.selinux", "security.ima", "system.posix_acl_access", "user", "nonsense"}) {
    records += TarWriter::record(cat("SCHILY.xattr.", name), "y");
  }
  const Outcome out = unpack(TarWriter().pax(records).folder("d").pax(records).file("f", "x").finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.tree, "755 /\n755 d/\n644 f: x\n");
  EXPECT_EQ(attributes("d"), "");
  EXPECT_EQ(attributes("f"), "");
}

TEST_F(LayerMetadata, BrokenFileCapabilityIsNoError) {
  const Outcome out =
      unpack(TarWriter().pax(TarWriter::record("SCHILY.xattr.security.capability", "x")).file("f").finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.warnings, "1 file capabilities could not be kept\n");
}

TEST_F(LayerMetadata, FileCapabilityIsKept) {
  // vfs_cap_data of revision 2: cap_net_bind_service, effective and permitted.
  const std::string capability("\x01\0\0\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  const Outcome out = unpack(
      TarWriter().pax(TarWriter::record("SCHILY.xattr.security.capability", capability)).file("f", "x").finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.warnings, "");
  EXPECT_EQ(attributes("f").substr(0, 20), "security.capability=");
}

TEST_F(LayerMetadata, AttributeFloodIsRefused) {
  std::string records;
  for (int i = 0; i < 1000; ++i) records += TarWriter::record(cat("SCHILY.xattr.user.", i), std::string(65'000, 'x'));
  EXPECT_NE(unpack(TarWriter().pax(records).file("f").finish()).error, "");
}

TEST_F(LayerMetadata, OwnersAreIgnoredWithASingleId) {
  const Outcome out = unpack(TarWriter().file_as({.name = "f", .uid = 1000, .gid = 50}, "x").finish());
  EXPECT_EQ(out.tree, "755 /\n644 f: x\n");
}

TEST_F(LayerMetadata, OwnersBeyondTheMapNameTheRemedy) {
  for (const uint64_t id : {uint64_t{70'000}, uint64_t{UINT32_MAX}, uint64_t{1} << 32, (uint64_t{1} << 32) + 1}) {
    const std::string layer = TarWriter().file_as({.name = "f", .uid = id, .gid = 0}, "x").finish();
    const Outcome out = unpack(layer, {.single_id = false});
    EXPECT_THAT(out.error, HasSubstr(cat("its owner ", id, ":0 is not among the ids that are mapped"))) << id;
    EXPECT_THAT(out.error, HasSubstr("/etc/subuid")) << id;
  }
}

TEST_F(LayerMetadata, OwnersAreKeptWithSubordinateIds) {
  const std::optional<IdMap> map = many_ids();
  if (!map) GTEST_SKIP() << "this user has no subordinate ids, or newuidmap is not installed";
  const std::string layer = TarWriter()
                                .header({.name = "d", .type = '5', .mode = 02755, .uid = 5, .gid = 6})
                                .file_as({.name = "d/f", .mode = 04755, .uid = 1000, .gid = 50}, "x")
                                .file_as({.name = "d/root", .mode = 0644}, "x")
                                .header({.name = "d/l", .type = '2', .link = "f", .uid = 65'536, .gid = 1})
                                .header({.name = "d/p", .type = '6', .uid = 2})
                                .finish();
  const Outcome out = unpack_with(*map, layer, {});
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.tree,
            "755 /\n2755 d/ owner 5:6\n4755 d/f: x owner 1000:50\nd/l -> f owner 65536:1\nfifo d/p owner 2:0\n"
            "644 d/root: x\n");
}

TEST_F(LayerMetadata, GlobalPaxHeaderRenamesNothingOutside) {
  const Outcome out = unpack(TarWriter().pax(TarWriter::record("path", "../victim/keep"), 'g').file("f", "x").finish());
  EXPECT_TRUE(out.error == "" || out.error.find("\"..\"") != std::string::npos) << out.error;
}

TEST_F(LayerMetadata, LyingPaxRecordsAreRefused) {
  for (const char* records :
       {"999999999999999999999 path=x\n", "0 path=x\n", "6 a=\n", "9 path=xx", "path=x\n", "12 pathx\n"}) {
    EXPECT_NE(unpack(TarWriter().pax(records).file("f", "x").finish()).error, "") << records;
  }
}

TEST_F(LayerMetadata, NulInAPaxPathStaysInside) {
  const Outcome out = unpack(TarWriter()
                                 .pax(TarWriter::record("path", std::string_view("a\0/../../victim/keep", 20)))
                                 .file("f", "x")
                                 .finish());
  // libarchive ends the name at the NUL.
  EXPECT_EQ(out.tree, "755 /\n644 a: x\n");
}

TEST_F(LayerMetadata, PaxSizesThatOverflowAreRefused) {
  for (const char* size : {"9223372036854775807", "9223372036854775000", "18446744073709551617", "-1"}) {
    EXPECT_NE(unpack(TarWriter().pax(TarWriter::record("size", size)).file("f", "x").finish()).error, "") << size;
  }
}

TEST_F(LayerMetadata, NegativeBase256SizeIsRefused) {
  std::string header = TarWriter::block({.name = "f"});
  header.replace(124, 12, 12, '\xff');
  EXPECT_NE(unpack(TarWriter().raw(TarWriter::with_checksum(header)).finish()).error, "");
}

TEST_F(LayerMetadata, BadChecksumIsRefused) {
  std::string header = TarWriter::block({.name = "f"});
  header[0] = 'g';
  EXPECT_NE(unpack(TarWriter().raw(header).finish()).error, "");
  EXPECT_THAT(unpack(TarWriter().file("a", "x").raw(header).finish()).error, HasSubstr("Damaged tar archive"));
}

TEST_F(LayerMetadata, GiantNamesAreRefused) {
  EXPECT_NE(unpack(TarWriter().long_name(std::string(10'000'000, 'n')).file("f").finish()).error, "");
  EXPECT_NE(unpack(TarWriter().long_name(std::string(10'000'000, 'n'), 'K').symlink("f", "x").finish()).error, "");
  EXPECT_NE(unpack(TarWriter().pax(TarWriter::record("path", std::string(10'000'000, 'n'))).file("f").finish()).error,
            "");
}

TEST_F(LayerMetadata, SparsePebibyteIsRefused) {
  const std::string old_sparse = [] {
    std::string header = TarWriter::block({.name = "f", .type = 'S', .size = 512, .gnu = true});
    header.replace(386, 11, "00000000000");                                    // the one piece's offset
    header.replace(398, 11, "00000001000");                                    // and length
    header.replace(483, 12, std::string("\x80\0\0\0\0\0\x04\0\0\0\0\0", 12));  // real size 2^50
    return TarWriter::with_checksum(header);
  }();
  EXPECT_THAT(unpack(TarWriter().raw(old_sparse).body(std::string(512, 'x')).finish()).error, HasSubstr("limit"));
  const std::string pax = TarWriter::record("GNU.sparse.major", "1") + TarWriter::record("GNU.sparse.minor", "0") +
                          TarWriter::record("GNU.sparse.name", "f") +
                          TarWriter::record("GNU.sparse.realsize", "1125899906842624");
  EXPECT_THAT(
      unpack(TarWriter().pax(pax).file("x", std::string("1\n0\n1\n") + std::string(506, '\0') + "x").finish()).error,
      HasSubstr("limit"));
}

TEST_F(LayerMetadata, SparseFilesKeepTheirHoles) {
  const std::string pax = TarWriter::record("GNU.sparse.major", "1") + TarWriter::record("GNU.sparse.minor", "0") +
                          TarWriter::record("GNU.sparse.name", "f") +
                          TarWriter::record("GNU.sparse.realsize", "1000000000");
  std::string body = "1\n500000000\n4\n";
  body.resize(512, '\0');
  const Outcome out = unpack(TarWriter().pax(pax).file("x", body + "data").finish());
  EXPECT_EQ(out.error, "");
  EXPECT_EQ(out.tree, "755 /\n644 f: 1000000000 bytes\n");
  EXPECT_LE(look("f").st_blocks, 64);
}

TEST_F(LayerMetadata, FileLargerThanTheRestIsCutOff) {
  EXPECT_NE(unpack(TarWriter().header({.name = "f", .size = 1'000'000}).body("x").finish()).error, "");
}

TEST_F(LayerMetadata, FilesCountTogether) {
  const std::string layer = TarWriter().file("a", std::string(4000, 'x')).file("b", std::string(4000, 'x')).finish();
  EXPECT_THAT(unpack(layer, {.single_id = true, .max_unpacked_bytes = 8000}).error, HasSubstr("limit of 8000 bytes"));
}

}  // namespace
}  // namespace moss::test
