// What a seccomp agent reads.
#include "moss/oci/container_process_state.hh"

#include <gmock/gmock.h>

namespace moss::oci {
namespace {

TEST(ContainerProcessState, IsWrittenAsTheSpecSays) {
  const ContainerProcessState state{
      .pid = 4422,
      .metadata = "MKNOD",
      .state = {
          .id = "box", .status = "creating", .pid = 4422, .bundle = "/containers/box", .annotations = {{"k", "v"}}}};
  EXPECT_EQ(encode_container_process_state(state), R"({
  "ociVersion": "1.3.0",
  "fds": [
    "seccompFd"
  ],
  "pid": 4422,
  "metadata": "MKNOD",
  "state": {
    "ociVersion": "1.3.0",
    "id": "box",
    "status": "creating",
    "pid": 4422,
    "bundle": "/containers/box",
    "annotations": {
      "k": "v"
    }
  }
}
)");
}

}  // namespace
}  // namespace moss::oci
