// The capability table against the kernel's header.
#include "moss/runtime/capabilities.hh"

#include <gmock/gmock.h>
#include <linux/capability.h>

namespace moss::runtime {
namespace {

using ::testing::IsSubsetOf;

TEST(Capabilities, NumbersAreTheKernels) {
  const std::pair<const char*, int> kernels[] = {
#define MOSS_NAMED(name) {#name, name}
      MOSS_NAMED(CAP_CHOWN),
      MOSS_NAMED(CAP_DAC_OVERRIDE),
      MOSS_NAMED(CAP_DAC_READ_SEARCH),
      MOSS_NAMED(CAP_FOWNER),
      MOSS_NAMED(CAP_FSETID),
      MOSS_NAMED(CAP_KILL),
      MOSS_NAMED(CAP_SETGID),
      MOSS_NAMED(CAP_SETUID),
      MOSS_NAMED(CAP_SETPCAP),
      MOSS_NAMED(CAP_LINUX_IMMUTABLE),
      MOSS_NAMED(CAP_NET_BIND_SERVICE),
      MOSS_NAMED(CAP_NET_BROADCAST),
      MOSS_NAMED(CAP_NET_ADMIN),
      MOSS_NAMED(CAP_NET_RAW),
      MOSS_NAMED(CAP_IPC_LOCK),
      MOSS_NAMED(CAP_IPC_OWNER),
      MOSS_NAMED(CAP_SYS_MODULE),
      MOSS_NAMED(CAP_SYS_RAWIO),
      MOSS_NAMED(CAP_SYS_CHROOT),
      MOSS_NAMED(CAP_SYS_PTRACE),
      MOSS_NAMED(CAP_SYS_PACCT),
      MOSS_NAMED(CAP_SYS_ADMIN),
      MOSS_NAMED(CAP_SYS_BOOT),
      MOSS_NAMED(CAP_SYS_NICE),
      MOSS_NAMED(CAP_SYS_RESOURCE),
      MOSS_NAMED(CAP_SYS_TIME),
      MOSS_NAMED(CAP_SYS_TTY_CONFIG),
      MOSS_NAMED(CAP_MKNOD),
      MOSS_NAMED(CAP_LEASE),
      MOSS_NAMED(CAP_AUDIT_WRITE),
      MOSS_NAMED(CAP_AUDIT_CONTROL),
      MOSS_NAMED(CAP_SETFCAP),
      MOSS_NAMED(CAP_MAC_OVERRIDE),
      MOSS_NAMED(CAP_MAC_ADMIN),
      MOSS_NAMED(CAP_SYSLOG),
      MOSS_NAMED(CAP_WAKE_ALARM),
      MOSS_NAMED(CAP_BLOCK_SUSPEND),
      MOSS_NAMED(CAP_AUDIT_READ),
      MOSS_NAMED(CAP_PERFMON),
      MOSS_NAMED(CAP_BPF),
      MOSS_NAMED(CAP_CHECKPOINT_RESTORE),
#undef MOSS_NAMED
  };
  for (const auto& [name, number] : kernels) {
    EXPECT_EQ(capability_number(name), number) << name;
    EXPECT_EQ(capability_name(number), name);
  }
  EXPECT_EQ(capability_count(), static_cast<int>(std::size(kernels)));
  EXPECT_EQ(capability_count(), CAP_LAST_CAP + 1);
}

TEST(Capabilities, UnknownNamesHaveNoNumberAndAreLeftOutOfAMask) {
  EXPECT_EQ(capability_number("CAP_NOTHING"), std::nullopt);
  EXPECT_EQ(capability_number("cap_chown"), std::nullopt);
  EXPECT_EQ(capability_number(""), std::nullopt);
  EXPECT_EQ(capability_mask({"CAP_CHOWN", "CAP_NOTHING", "CAP_CHECKPOINT_RESTORE"}), 1u | uint64_t{1} << 40);
  EXPECT_EQ(capability_mask({}), 0u);
}

TEST(Capabilities, TheDefaultSetIsElevenAndKnown) {
  EXPECT_EQ(default_capabilities().size(), 11u);
  EXPECT_THAT(default_capabilities(), IsSubsetOf(all_capabilities()));
  EXPECT_EQ(capability_mask(all_capabilities()), (uint64_t{1} << capability_count()) - 1);
}

}  // namespace
}  // namespace moss::runtime
