// From the words of `moss run` and an image's config to config.json.
#include "src/engine/containers/bundle.hh"

#include <gmock/gmock.h>

#include "moss/runtime/capabilities.hh"
#include "moss/runtime/plan.hh"
#include "tests/sys/temporary.hh"

namespace moss::engine {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

class BundleOf : public ::testing::Test {
 protected:
  BundleOf() { image_.cmd = {"/bin/sh"}; }

  Result<Bundle> make() {
    return make_bundle({.options = options_,
                        .host = host_,
                        .image = image_,
                        .map = map_,
                        .user = user_,
                        .network = network_,
                        .id = std::string(64, 'a'),
                        .live = "/run/c",
                        .lasting = "/data/c",
                        .lower_dirs = {"/data/layers/b", "/data/layers/a"}});
  }
  oci::Config config() {
    Result<Bundle> bundle = make();
    EXPECT_TRUE(bundle.ok()) << error_of(bundle);
    return bundle.ok() ? bundle->config : oci::Config();
  }
  std::string error() { return error_of(make()); }
  static const oci::Mount* mount_at(const oci::Config& config, std::string_view place) {
    const oci::Mount* found = nullptr;
    for (const oci::Mount& mount : config.mounts) {
      if (mount.destination == place) found = &mount;
    }
    return found;
  }

  RunOptions options_;
  oci::ImageRunConfig image_;
  sys::Host host_{.uid = 1001, .gid = 1001, .kernel = {6, 8}, .cgroups = sys::CgroupMode::v2};
  IdMap map_{{{0, 1001, 1}, {1, 100000, 65536}}, {{0, 1001, 1}, {1, 100000, 65536}}};
  ResolvedUser user_{.home = "/root", .in_passwd = true, .in_group = true};
  NetworkMode network_ = NetworkMode::private_net;
};

TEST_F(BundleOf, DefaultsPassTheRuntimesChecksAndCanBePlanned) {
  const oci::Config c = config();
  EXPECT_THAT(runtime::check(c, host_), IsEmpty());
  EXPECT_TRUE(runtime::plan(c, host_, {.bundle = "/run/c"}).ok());
  EXPECT_EQ(c.hostname, std::string(12, 'a'));
  EXPECT_THAT(c.process.env, ElementsAre("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                         "container=moss", "HOSTNAME=aaaaaaaaaaaa", "HOME=/root"));
  EXPECT_EQ(c.process.capabilities->bounding.size(), 11u);
  EXPECT_EQ(c.process.capabilities->effective, c.process.capabilities->bounding);
  EXPECT_EQ(c.linux.sysctl.at("net.ipv4.ping_group_range"), "0 65536");
  EXPECT_FALSE(c.process.no_new_privileges);
}

TEST_F(BundleOf, EveryModeOfNetworkPassesTheChecks) {
  for (const NetworkMode mode : {NetworkMode::none, NetworkMode::host, NetworkMode::private_net}) {
    network_ = mode;
    EXPECT_THAT(runtime::check(config(), host_), IsEmpty()) << to_string(mode);
  }
  for (const bool one : {false, true}) {
    options_.privileged = options_.read_only = one;
    options_.pid = options_.ipc = options_.uts = one ? "host" : "private";
    EXPECT_THAT(runtime::check(config(), host_), IsEmpty());
  }
}

TEST_F(BundleOf, CommandsAreTheImagesUnlessGiven) {
  image_.entrypoint = {"/entry", "-x"};
  image_.cmd = {"default"};
  EXPECT_THAT(*command_of(options_, image_), ElementsAre("/entry", "-x", "default"));
  options_.command = {"given"};
  EXPECT_THAT(*command_of(options_, image_), ElementsAre("/entry", "-x", "given"));
  options_.entrypoint = std::vector<std::string>{"/other"};
  EXPECT_THAT(*command_of(options_, image_), ElementsAre("/other", "given"));
  // A new entrypoint does not get the image's arguments.
  options_.command.clear();
  EXPECT_THAT(*command_of(options_, image_), ElementsAre("/other"));
  options_.entrypoint = std::vector<std::string>{};
  EXPECT_EQ(error_of(command_of(options_, image_)),
            "no command: the image names none; give one after the image's name");
  options_.command = {""};
  EXPECT_FALSE(command_of(options_, image_).ok());
}

TEST_F(BundleOf, AnImagesVariableWithoutAValueIsNothing) {
  // CVE-2026-57231: taking it from the host would hand out the caller's secrets.
  ::setenv("MOSS_SECRET_TEST", "secret", 1);
  image_.env = {"MOSS_SECRET_TEST", "=x", "A=1", "A=2", "MOSS_SECRET_TEST*"};
  for (const std::string& variable : config().process.env) EXPECT_THAT(variable, Not(HasSubstr("secret")));
  EXPECT_THAT(config().process.env, Contains("A=2"));
  EXPECT_THAT(config().process.env, Not(Contains("A=1")));
  options_.env = {"A=3", "MOSS_SECRET_TEST"};
  EXPECT_THAT(config().process.env, Contains("A=3"));
  EXPECT_THAT(config().process.env, Contains("MOSS_SECRET_TEST=secret"));
}

TEST_F(BundleOf, AWorkingFolderInProcIsRefusedWhoeverNamesIt) {
  // CVE-2024-21626
  image_.working_dir = "/proc/self/fd/8";
  EXPECT_EQ(error(), "working folder /proc/self/fd/8 lies in /proc");
  image_.working_dir = "relative";
  EXPECT_EQ(error(), "working folder relative is not absolute");
  image_.working_dir = "/srv";
  EXPECT_EQ(config().process.cwd, "/srv");
  options_.working_dir = "/proc";
  EXPECT_EQ(error(), "working folder /proc lies in /proc");
}

TEST_F(BundleOf, AWorkingFolderInProcIsRefusedAlsoWhenSpeltOddly) {
  for (const char* path : {"//proc/self/fd/8", "/./proc/self/fd/8", "/x/../proc/self/fd/8", "/proc//self"}) {
    image_.working_dir = path;
    EXPECT_EQ(error(), cat("working folder ", path, " lies in /proc"));
  }
}

TEST_F(BundleOf, AUserOtherThanRootHoldsOnlyWhatWasNamed) {
  user_.uid = 5;
  oci::Capabilities sets = *config().process.capabilities;
  EXPECT_EQ(sets.bounding.size(), 11u);
  EXPECT_THAT(sets.effective, IsEmpty());
  EXPECT_THAT(sets.permitted, IsEmpty());
  EXPECT_THAT(sets.ambient, IsEmpty());
  options_.cap_add = {"net_raw,CAP_chown"};
  sets = *config().process.capabilities;
  EXPECT_THAT(sets.ambient, ElementsAre("CAP_NET_RAW", "CAP_CHOWN"));
  EXPECT_EQ(sets.effective, sets.ambient);
}

TEST_F(BundleOf, CapabilitiesAreAddedAndDropped) {
  options_.cap_drop = {"all"};
  EXPECT_THAT(config().process.capabilities->bounding, IsEmpty());
  options_.cap_add = {"NET_RAW"};
  EXPECT_THAT(config().process.capabilities->bounding, ElementsAre("CAP_NET_RAW"));
  options_.cap_drop = {"chown"};
  options_.cap_add = {"ALL"};
  EXPECT_EQ(config().process.capabilities->bounding.size(), runtime::all_capabilities().size() - 1);
  EXPECT_THAT(config().process.capabilities->bounding, Not(Contains("CAP_CHOWN")));
  options_.cap_add = {"CAP_DREAM"};
  EXPECT_EQ(error(), "--cap-add CAP_DREAM: no such capability");
}

TEST_F(BundleOf, AnIdThatIsNotMappedIsRefused) {
  user_.uid = 70000;
  EXPECT_THAT(error(), StartsWith("run as user 70000: that id is not mapped into the container"));
  user_ = {.uid = 0, .gid = 70000};
  EXPECT_THAT(error(), StartsWith("run as group 70000: that id is not mapped into the container"));
}

TEST_F(BundleOf, AnImagesVolumesStayInside) {
  for (const char* path : {"relative", "/", "/a/../../b", "/..", "/proc", "/proc/sys", "//proc", "/./proc/x", "//"}) {
    image_.volumes = {path};
    EXPECT_EQ(error(), cat("the image's volume ", path, " is no place for one; choose another image"));
  }
  image_.volumes = {"/data"};
  EXPECT_EQ(mount_at(config(), "/data"), nullptr);  // it lies in the writable layer
  options_.read_only = true;
  ASSERT_NE(mount_at(config(), "/data"), nullptr);
  EXPECT_EQ(mount_at(config(), "/data")->type, "tmpfs");
}

TEST_F(BundleOf, AUsersMountReplacesOurs) {
  options_.volumes = {"/tmp:/dev/shm", "/etc/hostname:/etc/hosts"};
  const oci::Config c = config();
  EXPECT_EQ(mount_at(c, "/dev/shm")->type, "bind");
  EXPECT_EQ(mount_at(c, "/etc/hosts")->source, "/etc/hostname");
  EXPECT_EQ(std::count_if(c.mounts.begin(), c.mounts.end(), [](const auto& m) { return m.destination == "/dev/shm"; }),
            1);
}

TEST_F(BundleOf, SecurityOptions) {
  options_.security_opts = {"no-new-privileges", "mask=/a:/b", "unmask=/proc/kcore", "label=disable",
                            "seccomp=unconfined"};
  const oci::Config c = config();
  EXPECT_TRUE(c.process.no_new_privileges);
  EXPECT_THAT(c.linux.masked_paths, Contains("/a"));
  EXPECT_THAT(c.linux.masked_paths, Contains("/b"));
  EXPECT_THAT(c.linux.masked_paths, Not(Contains("/proc/kcore")));
  options_.security_opts = {"unmask=ALL"};
  EXPECT_THAT(config().linux.masked_paths, IsEmpty());
  EXPECT_THAT(config().linux.readonly_paths, IsEmpty());
  options_.security_opts = {"label=type:x"};
  EXPECT_EQ(error(), "--security-opt label=type:x is not supported");
  options_.security_opts = {"mask=a"};
  EXPECT_EQ(error(), "--security-opt mask=a: paths must be absolute");
}

TEST_F(BundleOf, WrongWordsAreRefusedInTheirOwn) {
  const auto refused = [&](auto&& set) {
    options_ = {};
    set(options_);
    return error();
  };
  EXPECT_EQ(refused([](RunOptions& o) { o.pid = "container:x"; }),
            "--pid container:x is not supported; use private or host");
  EXPECT_EQ(refused([](RunOptions& o) { o.umask = "8"; }), "--umask 8: expected octal digits, 0000 to 0777");
  EXPECT_EQ(refused([](RunOptions& o) { o.ulimits = {"fun=1"}; }), "--ulimit fun=1: no such limit");
  EXPECT_EQ(refused([](RunOptions& o) { o.ulimits = {"core=2:1"}; }),
            "--ulimit core=2:1: the soft limit is above the hard one");
  EXPECT_EQ(refused([](RunOptions& o) { o.ulimits = {"core"}; }), "--ulimit core: expected NAME=SOFT[:HARD]");
  EXPECT_EQ(refused([](RunOptions& o) { o.sysctls = {"a"}; }), "--sysctl a: expected NAME=VALUE");
  EXPECT_EQ(refused([](RunOptions& o) { o.annotations = {"=a"}; }), "--annotation =a: expected NAME=VALUE");
  EXPECT_EQ(refused([](RunOptions& o) { o.stop_signal = "FUN"; }), "stop signal: no signal FUN");
  EXPECT_THAT(refused([](RunOptions& o) { o.shm_size = "big"; }), StartsWith("--shm-size: size big"));
  EXPECT_EQ(refused([](RunOptions& o) { o.uts = "host", o.hostname = "h"; }), "--hostname h needs --uts private");
}

TEST(NetworkModes, AreFewAndTheRestIsRefused) {
  EXPECT_EQ(*parse_network_mode("none"), NetworkMode::none);
  EXPECT_EQ(*parse_network_mode("host"), NetworkMode::host);
  for (const char* text : {"private", "pasta", "slirp4netns"})
    EXPECT_EQ(*parse_network_mode(text), NetworkMode::private_net);
  for (const char* text : {"", "bridge", "container:x", "Host", "ns:/proc/1/ns/net"}) {
    EXPECT_EQ(error_of(parse_network_mode(text)),
              cat("--network ", text, " is not supported; use private, host or none"));
  }
}

}  // namespace
}  // namespace moss::engine
