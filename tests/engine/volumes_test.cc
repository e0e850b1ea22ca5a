// The grammar of -v, --mount and --tmpfs.
#include "src/engine/containers/volumes.hh"

#include <gmock/gmock.h>

#include "tests/sys/temporary.hh"

namespace moss::engine {
namespace {

class Volumes : public TemporaryTest {
 protected:
  void SetUp() override {
    TemporaryTest::SetUp();
    make_dir(path("data"));
    source_ = path("data");
  }

  // "type source destination options" a line, or the error.
  std::string mounts(const RunOptions& options) {
    const Result<VolumeMounts> result = volume_mounts(options, "/lasting");
    if (!result.ok()) return "error: " + result.error().to_string();
    std::string out;
    for (const oci::Mount& mount : result->mounts) {
      out += cat(mount.type, " ", mount.source, " ", mount.destination, " ", join(mount.options, ","), "\n");
    }
    for (const std::string& folder : result->folders) out += cat("make ", folder, "\n");
    return out;
  }
  std::string volume(const std::string& text) {
    RunOptions options;
    options.volumes = {text};
    return mounts(options);
  }
  std::string mount(const std::string& text) {
    RunOptions options;
    options.mounts = {text};
    return mounts(options);
  }
  std::string tmpfs(const std::string& text) {
    RunOptions options;
    options.tmpfs = {text};
    return mounts(options);
  }
  std::string source_;
};

TEST_F(Volumes, AreRecursiveBindMounts) {
  EXPECT_EQ(volume(source_ + ":/data"), cat("bind ", source_, " /data rbind\n"));
  EXPECT_EQ(volume(source_ + ":/data:rw"), cat("bind ", source_, " /data rbind\n"));
}

TEST_F(Volumes, ReadOnlyReachesWhatIsMountedBelow) {
  EXPECT_EQ(volume(source_ + ":/data:ro"), cat("bind ", source_, " /data rbind,rro\n"));
  EXPECT_EQ(volume(source_ + ":/data:ro,noexec,rslave"), cat("bind ", source_, " /data rbind,rro,noexec,rslave\n"));
  EXPECT_EQ(volume(source_ + ":/data:bind"), cat("bind ", source_, " /data bind\n"));
}

TEST_F(Volumes, PathsAreCleaned) {
  EXPECT_EQ(volume(source_ + "/../data/.://data//./x/../y/"), cat("bind ", source_, " /data/y rbind\n"));
}

TEST_F(Volumes, AnOverlayWritesIntoTheContainersOwnFolder) {
  EXPECT_EQ(volume(source_ + ":/data:O"),
            cat("overlay overlay /data lowerdir=", source_, ",upperdir=/lasting/overlays/0/upper,",
                "workdir=/lasting/overlays/0/work,userxattr\nmake /lasting/overlays/0/upper\n",
                "make /lasting/overlays/0/work\n"));
}

TEST_F(Volumes, WrongOnesAreRefusedInTheirOwnWords) {
  const auto error = [](std::string_view text, std::string_view why) { return cat("error: -v ", text, ": ", why); };
  EXPECT_EQ(volume("/data"), error("/data", "volumes without a source are not supported; give HOST-PATH:/data"));
  EXPECT_EQ(volume(""), error("", "expected HOST-PATH:CONTAINER-PATH[:OPTIONS]"));
  EXPECT_EQ(volume("a:b:c:d"), error("a:b:c:d", "expected HOST-PATH:CONTAINER-PATH[:OPTIONS]"));
  EXPECT_EQ(volume("name:/data"),
            error("name:/data", "named volumes are not supported; give a path that starts with / or ."));
  EXPECT_EQ(volume("/nonexistent-source:/d"),
            error("/nonexistent-source:/d", "/nonexistent-source on this host: No such file or directory"));
  EXPECT_EQ(volume(source_ + ":data"), error(source_ + ":data", "the path inside must be absolute: data"));
  EXPECT_EQ(volume(source_ + ":/d:zip"), error(source_ + ":/d:zip", "option zip is not supported"));
}

TEST_F(Volumes, NothingGoesOverTheRootOrProc) {
  // CVE-2019-16884
  for (const char* place : {"/", "/..", "/x/..", "//"}) {
    EXPECT_EQ(volume(cat(source_, ":", place)),
              cat("error: -v ", source_, ":", place, ": the root itself cannot be mounted over"));
  }
  for (const char* place : {"/proc", "/proc/", "/proc/self", "/x/../proc", "/../proc/1"}) {
    EXPECT_EQ(volume(cat(source_, ":", place)),
              cat("error: -v ", source_, ":", place, ": nothing may be mounted over /proc"));
  }
  EXPECT_EQ(volume(source_ + ":/process"), cat("bind ", source_, " /process rbind\n"));
}

TEST_F(Volumes, OuterMountsComeBeforeInnerOnes) {
  RunOptions options;
  options.volumes = {source_ + ":/a/b/c", source_ + ":/a"};
  options.tmpfs = {"/a/b"};
  EXPECT_EQ(mounts(options), cat("bind ", source_, " /a rbind\ntmpfs tmpfs /a/b rprivate,nosuid,nodev,tmpcopyup\nbind ",
                                 source_, " /a/b/c rbind\n"));
}

TEST_F(Volumes, OnePlaceTakesOneMount) {
  RunOptions options;
  options.volumes = {source_ + ":/a"};
  options.tmpfs = {"/a/"};
  EXPECT_EQ(mounts(options), "error: --tmpfs /a/: something is mounted at /a already");
}

TEST_F(Volumes, MountOptionOfTypeBind) {
  EXPECT_EQ(mount(cat("type=bind,source=", source_, ",destination=/d")), cat("bind ", source_, " /d rbind\n"));
  EXPECT_EQ(mount(cat("type=bind,src=", source_, ",dst=/d,ro")), cat("bind ", source_, " /d rbind,rro\n"));
  EXPECT_EQ(mount(cat("type=bind,src=", source_, ",target=/d,readonly=true")),
            cat("bind ", source_, " /d rbind,rro\n"));
  EXPECT_EQ(mount(cat("type=bind,src=", source_, ",dst=/d,ro=false")), cat("bind ", source_, " /d rbind\n"));
  EXPECT_EQ(mount(cat("type=bind,src=", source_, ",dst=/d,rw=false")), cat("bind ", source_, " /d rbind,rro\n"));
  EXPECT_EQ(mount(cat("type=bind,src=", source_, ",dst=/d,bind-propagation=rshared,bind-nonrecursive")),
            cat("bind ", source_, " /d bind,rshared\n"));
}

TEST_F(Volumes, MountOptionOfTypeTmpfs) {
  EXPECT_EQ(mount("type=tmpfs,destination=/t,tmpfs-size=1k,tmpfs-mode=700,ro"),
            "tmpfs tmpfs /t rprivate,nosuid,nodev,tmpcopyup,size=1024,mode=700,ro\n");
  EXPECT_EQ(mount("type=tmpfs,dst=/t,notmpcopyup"), "tmpfs tmpfs /t rprivate,nosuid,nodev\n");
}

TEST_F(Volumes, WrongMountOptionsAreRefused) {
  EXPECT_EQ(mount("type=bind,source=/"), "error: --mount type=bind,source=/: destination=PATH is missing");
  EXPECT_EQ(mount("type=volume,destination=/d"),
            "error: --mount type=volume,destination=/d: type volume is not supported; use bind or tmpfs");
  EXPECT_EQ(mount("destination=/d"), "error: --mount destination=/d: type volume is not supported; use bind or tmpfs");
  EXPECT_EQ(mount("type=tmpfs,source=/x,destination=/d"),
            "error: --mount type=tmpfs,source=/x,destination=/d: a tmpfs has no source");
  EXPECT_EQ(mount("type=bind,source=/,destination=/d,ro=maybe"),
            "error: --mount type=bind,source=/,destination=/d,ro=maybe: ro is true or false");
  EXPECT_EQ(mount("type=bind,source=/,destination=/d,colour=red"),
            "error: --mount type=bind,source=/,destination=/d,colour=red: option colour is not supported");
}

TEST_F(Volumes, Tmpfs) {
  EXPECT_EQ(tmpfs("/t"), "tmpfs tmpfs /t rprivate,nosuid,nodev,tmpcopyup\n");
  EXPECT_EQ(tmpfs("/t:size=64m,mode=1777,exec"),
            "tmpfs tmpfs /t rprivate,nosuid,nodev,tmpcopyup,size=67108864,mode=1777,exec\n");
  EXPECT_EQ(tmpfs("t"), "error: --tmpfs t: the path inside must be absolute: t");
  EXPECT_EQ(tmpfs("/t:mode=rwx"), "error: --tmpfs /t:mode=rwx: mode is a number, not rwx");
  EXPECT_EQ(tmpfs("/t:huge=always"), "error: --tmpfs /t:huge=always: option huge=always is not supported");
  EXPECT_EQ(tmpfs("/t:size=big"),
            "error: --tmpfs /t:size=big: size big: expected a number of bytes, or one with k, m, g "
            "or t behind it");
}

TEST(ParseSize, TakesBytesAndUnits) {
  const std::pair<const char*, uint64_t> sizes[] = {{"0", 0},           {"1000", 1000},       {"5b", 5},
                                                    {"512k", 524288},   {"64M", 64ull << 20}, {"64mb", 64ull << 20},
                                                    {"1g", 1ull << 30}, {"2T", 2ull << 40}};
  for (const auto& [text, bytes] : sizes) {
    ASSERT_TRUE(parse_size(text).ok()) << text;
    EXPECT_EQ(*parse_size(text), bytes) << text;
  }
}

TEST(ParseSize, RefusesTheRest) {
  for (const char* text :
       {"", "b", "k", "kb", "-1", "+1", "1.5g", "1 k", "0x10", "18446744073709551616", "99999999999g", "1kk", "1p"}) {
    EXPECT_FALSE(parse_size(text).ok()) << text;
  }
}

}  // namespace
}  // namespace moss::engine
