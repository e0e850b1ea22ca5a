// Users' filters are compiled once, and nothing in the cache is believed that somebody else could have put there.
#include "cache.hh"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <functional>

#include "bpf_evaluator.hh"
#include "compile.hh"
#include "moss/base/text.hh"
#include "moss/runtime/seccomp.hh"
#include "moss/sys/file.hh"
#include "profile.hh"

namespace moss::runtime {
namespace {

/// A program nobody would compile from the policy below: whoever returns it has read it from the cache.
const sock_filter kMark[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 99)};

class SeccompCache : public testing::Test {
 protected:
  void SetUp() override {
    policy_.default_action = "SCMP_ACT_ERRNO";
    policy_.syscalls.push_back({.names = {"read", "write"}, .action = "SCMP_ACT_ALLOW"});
    auto made = sys::TemporaryDir::create(testing::TempDir(), "moss-seccomp-");
    ASSERT_TRUE(made.ok()) << made.error().to_string();
    folder_.emplace(std::move(*made));
  }
  std::string dir() const { return folder_->path(); }
  std::string key() const { return cache_key(canonical_text(policy_)); }
  std::string entry() const { return cat(dir(), "/", cache_entry_name(key())); }
  bool uses_cache() const {
    const auto filter = seccomp_filter(policy_, dir());
    EXPECT_TRUE(filter.ok());
    return filter->program().size() == 1;
  }
  void plant(std::span<const sock_filter> program = kMark) const { write_cached(dir(), key(), program); }
  void damage(const std::function<void(std::string&)>& change) const {
    auto bytes = sys::read_file(entry(), 1u << 20);
    ASSERT_TRUE(bytes.ok());
    change(*bytes);
    ASSERT_TRUE(sys::replace_file(entry(), *bytes, 0600).ok());
  }

  oci::Seccomp policy_;
  std::optional<sys::TemporaryDir> folder_;
};

TEST_F(SeccompCache, TheSecondTimeNothingIsCompiled) {
  const auto first = seccomp_filter(policy_, dir());
  ASSERT_TRUE(first.ok());
  const auto left = read_cached(dir(), key());
  ASSERT_TRUE(left);
  EXPECT_EQ(std::memcmp(left->data(), first->program().data(), first->program().size_bytes()), 0);
  plant();
  EXPECT_TRUE(uses_cache());
}

TEST_F(SeccompCache, AnEntryIsForItsOwnerAlone) {
  plant();
  struct stat st{};
  ASSERT_EQ(::stat(entry().c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0600U);
}

TEST_F(SeccompCache, AMissingFolderIsMadePrivate) {
  const std::string inner = dir() + "/a/b";
  ASSERT_TRUE(seccomp_filter(policy_, inner).ok());
  struct stat st{};
  ASSERT_EQ(::stat(inner.c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 07777, 0700U);
  EXPECT_TRUE(read_cached(inner, key()));
}

TEST_F(SeccompCache, AnotherPolicyHasAnotherEntry) {
  plant();
  policy_.syscalls[0].names.push_back("close");
  EXPECT_FALSE(uses_cache());
}

TEST_F(SeccompCache, FlagsComeFromThePolicyNotFromTheEntry) {
  policy_.flags = {"SECCOMP_FILTER_FLAG_LOG"};
  plant();
  EXPECT_EQ(seccomp_filter(policy_, dir())->flags, uint32_t{SECCOMP_FILTER_FLAG_LOG});
}

TEST_F(SeccompCache, AnyChangedByteMakesItWorthless) {
  plant();
  const size_t size = sys::read_file(entry(), 1u << 20)->size();
  for (size_t at = 0; at < size; ++at) {
    damage([&](std::string& bytes) { bytes[at] = static_cast<char>(bytes[at] ^ 0x10); });
    EXPECT_FALSE(read_cached(dir(), key())) << "byte " << at;
    plant();
  }
}

TEST_F(SeccompCache, AnyTruncatedOrLengthenedEntryIsWorthless) {
  plant();
  const size_t size = sys::read_file(entry(), 1u << 20)->size();
  for (size_t left = 0; left < size; ++left) {
    damage([&](std::string& bytes) { bytes.resize(left); });
    EXPECT_FALSE(read_cached(dir(), key())) << left << " bytes";
    plant();
  }
  damage([](std::string& bytes) { bytes += "x"; });
  EXPECT_FALSE(read_cached(dir(), key()));
}

TEST_F(SeccompCache, ADamagedEntryIsReplaced) {
  plant();
  damage([](std::string& bytes) { bytes.back() ^= 1; });
  EXPECT_FALSE(uses_cache());
  EXPECT_TRUE(read_cached(dir(), key()));
}

TEST_F(SeccompCache, AProgramThatRunsOffItsEndIsNotUsed) {
  const sock_filter endless[] = {BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 1, 7, 0), BPF_STMT(BPF_RET | BPF_K, 0)};
  plant(endless);
  EXPECT_FALSE(read_cached(dir(), key()));
}

TEST_F(SeccompCache, AnEntryOthersMayTouchIsNotUsed) {
  for (const mode_t mode : {0620, 0602, 0640, 0604}) {
    plant();
    ASSERT_EQ(::chmod(entry().c_str(), mode), 0);
    EXPECT_FALSE(read_cached(dir(), key())) << std::oct << mode;
  }
}

TEST_F(SeccompCache, AFolderOthersMayWriteIsNotUsed) {
  plant();
  ASSERT_EQ(::chmod(dir().c_str(), 0770), 0);
  EXPECT_FALSE(uses_cache());
  ASSERT_EQ(::chmod(dir().c_str(), 0700), 0);
  EXPECT_TRUE(uses_cache()) << "the refusing left the entry alone";
}

TEST_F(SeccompCache, ASymlinkIsNotFollowed) {
  plant();
  ASSERT_EQ(::rename(entry().c_str(), (dir() + "/elsewhere").c_str()), 0);
  ASSERT_EQ(::symlink("elsewhere", entry().c_str()), 0);
  EXPECT_FALSE(read_cached(dir(), key()));
  ASSERT_EQ(::symlink(dir().c_str(), (dir() + "/link").c_str()), 0);
  EXPECT_FALSE(read_cached(dir() + "/link", key()));
}

TEST_F(SeccompCache, AFifoIsNotWaitedFor) {
  ASSERT_EQ(::mkfifo(entry().c_str(), 0600), 0);
  EXPECT_FALSE(read_cached(dir(), key()));
}

TEST_F(SeccompCache, AForeignEntryIsNotUsed) {
  if (::geteuid() != 0) GTEST_SKIP() << "only root can give a file to somebody else";
  plant();
  ASSERT_EQ(::chown(entry().c_str(), 12345, 12345), 0);
  EXPECT_FALSE(read_cached(dir(), key()));
  plant();
  ASSERT_TRUE(read_cached(dir(), key()));
  ASSERT_EQ(::chown(dir().c_str(), 12345, 12345), 0);
  EXPECT_FALSE(read_cached(dir(), key()));
}

TEST_F(SeccompCache, AFolderThatCannotBeWrittenCostsOnlyTheTime) {
  const auto filter = seccomp_filter(policy_, "/proc/no/such/place");
  ASSERT_TRUE(filter.ok());
  EXPECT_GT(filter->program().size(), 1U);
}

}  // namespace
}  // namespace moss::runtime
