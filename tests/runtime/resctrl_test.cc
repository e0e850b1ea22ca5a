// Groups of resctrl, on folders that stand for the kernel's: few machines have it.
#include "moss/runtime/resctrl.hh"

#include <gmock/gmock.h>

#include "tests/sys/temporary.hh"

namespace moss::runtime {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Resctrl : public TemporaryTest {
 protected:
  void SetUp() override {
    TemporaryTest::SetUp();
    group("", "L3:0=fffff;1=fffff\nMB:0=100;1=100\n");
  }
  // The kernel makes these files with the folder.
  void group(const std::string& name, std::string_view schemata) {
    make_dir(path(name + "/mon_groups"));
    write(path(name + "/schemata"), schemata);
    write(path(name + "/tasks"), "");
  }
  Result<ResctrlGroups> make(const oci::IntelRdt& rdt) { return make_resctrl_groups(rdt, "box", root()); }
};

TEST_F(Resctrl, WithoutItTheErrorSaysHowToMountIt) {
  EXPECT_EQ(error_of(make_resctrl_groups({.clos_id = "x"}, "box", path("nothere"))),
            cat("linux.intelRdt: resctrl is not mounted at ", path("nothere"),
                "; where the processor has it: mount -t resctrl resctrl ", path("nothere")));
}

TEST_F(Resctrl, AGroupByNameAloneMustBeThere) {
  EXPECT_THAT(error_of(make({.clos_id = "gold"})), HasSubstr("linux.intelRdt.closID: there is no group"));
  group("gold", "L3:0=f\n");
  const Result<ResctrlGroups> groups = make({.clos_id = "gold"});
  ASSERT_TRUE(groups.ok()) << error_of(groups);
  EXPECT_THAT(groups->folders, ElementsAre(path("gold")));
  EXPECT_THAT(groups->made, IsEmpty());
  ASSERT_TRUE(enter_resctrl_groups(*groups, 42).ok());
  EXPECT_EQ(read(path("gold/tasks")), "42");
}

TEST_F(Resctrl, AnUpdateWritesToTheContainersOwnGroup) {
  group("gold", "L3:0=f\n");
  group("box", "L3:0=f\n");
  const oci::IntelRdt update{.l3_cache_schema = "L3:0=3"};
  ASSERT_TRUE(update_resctrl_group(oci::IntelRdt{.clos_id = "gold"}, "box", update, root()).ok());
  EXPECT_THAT(read(path("gold/schemata")), HasSubstr("L3:0=3\n"));
  EXPECT_EQ(read(path("box/schemata")), "L3:0=f\n");
  ASSERT_TRUE(update_resctrl_group(oci::IntelRdt{}, "box", update, root()).ok());
  EXPECT_THAT(read(path("box/schemata")), HasSubstr("L3:0=3\n"));
  EXPECT_EQ(error_of(update_resctrl_group(std::nullopt, "box", update, root())),
            "linux.intelRdt: the container was created without it");
}

TEST_F(Resctrl, AGroupThatIsThereMustHaveTheSchemataThatAreAskedFor) {
  group("gold", "    L3:0=00ff0;1=3ff\n    MB:0= 70;1= 70\n");
  EXPECT_TRUE(make({.clos_id = "gold", .schemata = {"L3:0=ff0", "MB:1=70"}}).ok());
  EXPECT_TRUE(make({.clos_id = "gold", .l3_cache_schema = "L3:1=3ff\n"}).ok());
  EXPECT_THAT(error_of(make({.clos_id = "gold", .schemata = {"L3:0=ff"}})),
              HasSubstr("is there already, with other schemata (L3:0)"));
}

TEST_F(Resctrl, TheSlashIsTheGroupOfEverything) {
  const Result<ResctrlGroups> groups = make({.clos_id = "/", .enable_monitoring = true});
  ASSERT_TRUE(groups.ok()) << error_of(groups);
  EXPECT_THAT(groups->folders, ElementsAre(root(), path("mon_groups/box")));
  EXPECT_THAT(groups->made, ElementsAre(path("mon_groups/box")));
  EXPECT_TRUE(remove_resctrl_groups(*groups).ok());
  EXPECT_FALSE(sys::exists(path("mon_groups/box")));
  EXPECT_TRUE(remove_resctrl_groups(*groups).ok()) << "gone already is no error";
}

TEST_F(Resctrl, WhatFailedHalfwayIsRemovedAgain) {
  // A plain folder has no schemata file: writing fails.
  EXPECT_THAT(error_of(make({.schemata = {"L3:0=f"}})), HasSubstr("write L3:0=f to"));
  EXPECT_FALSE(sys::exists(path("box")));
}

TEST(ResctrlCheck, NamesAndLinesMustBeSome) {
  EXPECT_THAT(check_resctrl({.clos_id = "gold", .schemata = {"L3:0=f"}}), IsEmpty());
  EXPECT_THAT(check_resctrl({.clos_id = "/"}), IsEmpty());
  EXPECT_THAT(check_resctrl({.clos_id = "../x", .schemata = {"fun", "L3:0=f\nMB:0=1"}}),
              ElementsAre("linux.intelRdt.closID: no name of a folder: ../x",
                          "linux.intelRdt.schemata[0]: no line such as L3:0=ff: fun",
                          "linux.intelRdt.schemata[1]: no line such as L3:0=ff: L3:0=f\\x0aMB:0=1"));
}

}  // namespace
}  // namespace moss::runtime
