// What parent and child say to each other during a launch, over one SOCK_SEQPACKET socket pair. Descriptors come
// along as SCM_RIGHTS.
//
//   message            who sends   who waits   true afterwards
//   namespaces_ready   child       parent      every namespace exists; a network helper may enter them
//   ids_mapped         parent      child       uid_map and gid_map stand; id 0 is there to be taken
//   network_ready      parent      child       the network works, published ports listen
//   in_cgroup          parent      child       the child is in its cgroup; a cgroup namespace may be made
//   before_pivot       child       parent      the mounts stand; prestart and createRuntime hooks may run
//   hooks_done         parent      child       they have run, with success
//   terminal           child       parent      the master of the container's terminal came along
//   created            child       parent      only execve, and what must come right before it, is left
//   released           parent      child       the record is written: the child goes on without the parent
//   start              `start`     child       over the container's own socket: go on
//   listener           child       parent      the filter is loaded, its listener came along
//   listener_taken     parent      child       somebody answers for the filter: notified calls return
//   failed             child       parent      step `index` failed with `error`; the child is gone
//   (end of file)      child       parent      execve worked: the workload runs
//   (end of file)      parent      child       the parent is gone; the child gives up
//
// After `released` a created container listens on the socket in its state folder. Who connects and says `start` is the
// parent from there on: it hears of a failure, or the end of file of a successful execve.
//
// The child is half inside already: the parent takes only a message that may come next and ends a child that says
// anything else.
#pragma once

#include <cstdint>

namespace moss::runtime {

enum class Message : uint8_t {
  namespaces_ready = 1,
  ids_mapped,
  network_ready,
  in_cgroup,
  before_pivot,
  hooks_done,
  terminal,
  created,
  released,
  start,
  listener,
  listener_taken,
  failed,
};

/// Added to how a hook ended (its exit code, or 128 + signal), where `error` of a `failed` RunHook is no errno.
inline constexpr int32_t kHookStatus = 10000;

/// One datagram, whichever way it goes.
struct Packet {
  Message message;
  int32_t error = 0;   ///< errno, for `failed`
  uint32_t index = 0;  ///< which step, for `failed`
};

}  // namespace moss::runtime
