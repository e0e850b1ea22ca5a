// Words of a config's "process" and the kernel's numbers for them.
#include "runtime/plan/attributes.hh"

#include <gmock/gmock.h>
#include <sys/mount.h>

namespace moss::runtime {
namespace {

using ::testing::ElementsAre;

template <typename T>
std::string complaint(const Result<T>& result) {
  return result.ok() ? "none" : result.error().to_string();
}

TEST(Attributes, SchedulersAreTheKernels) {
  const Result<SetScheduler> deadline = scheduler_step({.policy = "SCHED_DEADLINE",
                                                        .flags = {"SCHED_FLAG_RESET_ON_FORK", "SCHED_FLAG_DL_OVERRUN"},
                                                        .runtime = 1,
                                                        .deadline = 2,
                                                        .period = 3});
  ASSERT_TRUE(deadline.ok());
  EXPECT_EQ(deadline->policy, 6u);
  EXPECT_EQ(deadline->flags, 5u);
  EXPECT_EQ(deadline->period_ns, 3u);
  EXPECT_EQ(scheduler_step({.policy = "SCHED_RR", .priority = 99})->priority, 99u);
  EXPECT_EQ(complaint(scheduler_step({.policy = "SCHED_FUN"})), "unknown policy SCHED_FUN");
  EXPECT_EQ(complaint(scheduler_step({.policy = "SCHED_OTHER", .flags = {"X"}})), "unknown flag X");
  EXPECT_EQ(complaint(scheduler_step({.policy = "SCHED_OTHER", .nice = 20})), "nice is not within -20..19");
  EXPECT_EQ(complaint(scheduler_step({.policy = "SCHED_OTHER", .priority = 1})),
            "priority is for SCHED_FIFO and SCHED_RR only");
  EXPECT_EQ(complaint(scheduler_step({.policy = "SCHED_FIFO", .priority = 100})), "priority is not within 0..99");
  EXPECT_EQ(complaint(scheduler_step({.policy = "SCHED_OTHER", .period = 1})),
            "runtime, deadline and period are for SCHED_DEADLINE only");
}

TEST(Attributes, IoPrioritiesAreTheKernels) {
  EXPECT_EQ(io_priority_step({"IOPRIO_CLASS_IDLE", 7})->priority, 3 << 13 | 7);
  EXPECT_EQ(complaint(io_priority_step({"IOPRIO_CLASS_NONE", 0})), "unknown class IOPRIO_CLASS_NONE");
  EXPECT_EQ(complaint(io_priority_step({"IOPRIO_CLASS_BE", 8})), "priority is not within 0..7");
  EXPECT_EQ(complaint(io_priority_step({"IOPRIO_CLASS_BE", -1})), "priority is not within 0..7");
}

TEST(Attributes, NumberListsAreReadWholeOrNotAtAll) {
  EXPECT_THAT(*parse_number_list("0-2, 7,1"), ElementsAre(0, 1, 2, 7));
  EXPECT_THAT(*parse_number_list("8191"), ElementsAre(8191));
  for (const char* wrong : {"", ",", "1,", "3-1", "-1", "1-", "a", "8192", "0-99999999999", "1--2", "0x1"}) {
    EXPECT_FALSE(parse_number_list(wrong).ok()) << wrong;
  }
}

TEST(Attributes, MemoryPoliciesAreTheKernels) {
  const auto bind = memory_policy_of({"MPOL_BIND", "0-1", {"MPOL_F_STATIC_NODES"}});
  ASSERT_TRUE(bind.ok());
  EXPECT_EQ(bind->first, 2 | 1 << 15);
  EXPECT_THAT(bind->second, ElementsAre(0, 1));
  EXPECT_EQ(complaint(memory_policy_of({"MPOL_FUN", "", {}})), "unknown mode MPOL_FUN");
  EXPECT_EQ(complaint(memory_policy_of({"MPOL_BIND", "0", {"X"}})), "unknown flag X");
  EXPECT_EQ(complaint(memory_policy_of({"MPOL_BIND", "x", {}})), "nodes: no list such as 0-3,7: x");
}

TEST(Attributes, PersonalitiesHaveNoFlags) {
  EXPECT_EQ(*persona_of({"LINUX", {}}), 0u);
  EXPECT_EQ(*persona_of({"LINUX32", {}}), 8u);
  EXPECT_EQ(complaint(persona_of({"WINDOWS", {}})), "unknown domain WINDOWS");
  EXPECT_EQ(complaint(persona_of({"LINUX", {"X"}})), "unknown flag X");
}

TEST(Attributes, PropagationsAreMount2s) {
  EXPECT_EQ(propagation_type("rslave"), static_cast<unsigned long>(MS_SLAVE));
  EXPECT_EQ(propagation_type("unbindable"), static_cast<unsigned long>(MS_UNBINDABLE));
  EXPECT_EQ(propagation_type("public"), std::nullopt);
}

}  // namespace
}  // namespace moss::runtime
