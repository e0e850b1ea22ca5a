// A program that its caller may write does not run from where it can be written.
#include "moss/sys/own_binary.hh"

#include <fcntl.h>
#include <unistd.h>

#include "moss/sys/child.hh"
#include "temporary.hh"

namespace moss::sys {
namespace {

class OwnBinary : public TemporaryTest {
 protected:
  std::string output_of(const std::string& program) {
    const Fd out(::open(path("out").c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    Result<Child> child = spawn({program, "a", "b"}, {.stdout_fd = out.get()});
    EXPECT_TRUE(child.ok());
    EXPECT_TRUE(child->wait()->ok());
    return read(path("out"));
  }
};

TEST_F(OwnBinary, OfTheCallersIsRunFromElsewhere) {
  const Result<std::string> tool = read_file(MOSS_OWN_BINARY_TOOL, 64u << 20);
  ASSERT_TRUE(tool.ok());
  write(path("tool"), *tool, 0755);
  EXPECT_EQ(output_of(path("tool")), "out of reach 3\n");
  ASSERT_EQ(::access(path("tool").c_str(), W_OK), 0) << "the file itself is as it was";
}

TEST_F(OwnBinary, BeyondTheCallersReachIsRunAsItIs) {
  const Result<std::string> tool = read_file(MOSS_OWN_BINARY_TOOL, 64u << 20);
  ASSERT_TRUE(tool.ok());
  write(path("tool"), *tool, 0555);
  // For root nothing is beyond reach; either way it cannot be written.
  EXPECT_EQ(output_of(path("tool")), "out of reach 3\n");
}

}  // namespace
}  // namespace moss::sys
