// The files of a running container. See the header.
#include "src/engine/containers/running_root.hh"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>

#include "moss/engine/mounts.hh"
#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "moss/sys/socket.hh"
#include "src/engine/containers/insider.hh"
#include "src/engine/containers/store.hh"

namespace moss::engine {

namespace {

constexpr const char* kSocketName = "running.sock";
constexpr size_t kIdBytes = 64;
constexpr size_t kMaxAnswerBytes = 4096;

// Socket addresses are short (108 bytes) and folders need not be: the folder's descriptor is its short name.
sockaddr_un address_in(int folder) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = cat("/proc/self/fd/", folder, "/", std::string_view(kSocketName));
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  return address;
}

// "0" and the clone, or "EPERM's number, a space, why".
void send_root(int socket, const Result<Fd>& root) {
  if (root.ok()) {
    (void)sys::send_with_descriptor(socket, "0", 1, root->get());
    return;
  }
  const std::string text = cat(root.error().code(), " ", root.error().message());
  (void)::send(socket, text.data(), std::min(text.size(), kMaxAnswerBytes), MSG_NOSIGNAL | MSG_DONTWAIT);
}

// Nothing where the other side ended without a word.
std::optional<Result<Fd>> receive_root(int socket) {
  std::string answer(kMaxAnswerBytes, '\0');
  Fd root;
  const ssize_t got = sys::receive_with_descriptors(socket, answer.data(), answer.size(), {&root, 1});
  if (got <= 0) return std::nullopt;
  if (root) return Result<Fd>(std::move(root));
  answer.resize(static_cast<size_t>(got));
  const auto [code, message] = cut(answer, ' ');
  return Result<Fd>(Error(parse_number<int>(code).value_or(0), message.value_or("")));
}

Result<Fd> clone_in(const Insider& insider) {
  // Real root may have left a container in its own user namespace, which cannot be joined again.
  const bool joined = ::setns(insider.pidfd.get(), CLONE_NEWUSER | CLONE_NEWNS) == 0 ||
                      (errno == EINVAL && ::setns(insider.pidfd.get(), CLONE_NEWNS) == 0);
  if (!joined) return sys_error("join its namespaces");
  Fd root(::open_tree(AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC));
  if (!root) return sys_error("clone its root mount");
  return root;
}

}  // namespace

Result<Fd> clone_running_root(const Container& container) {
  const Insider insider = TRY(find_insider(container));
  sys::SocketPair pair = TRY(sys::make_socket_pair());
  // A process of its own: who has joined does not come back.
  sys::Child child = TRY(sys::fork_child([&] {
    pair.ours.reset();
    send_root(pair.theirs.get(), clone_in(insider));
    return 0;
  }));
  pair.theirs.reset();
  std::optional<Result<Fd>> root = receive_root(pair.ours.get());
  TRY(child.wait());
  if (!root) return Error(0, "the process that clones its root mount ended without a word");
  return std::move(*root);
}

Result<Fd> ask_for_running_root(const std::string& folder, const Container& container) {
  const Result<Fd> place = sys::open_at(AT_FDCWD, folder, O_PATH | O_DIRECTORY);
  if (!place.ok()) return unshare_has_ended();
  const Fd asking(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!asking) return sys_error("make a socket");
  const sockaddr_un address = address_in(place->get());
  if (::connect(asking.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    if (errno == ENOENT || errno == ECONNREFUSED) return unshare_has_ended();
    return sys_error("connect to \"moss unshare\"");
  }
  sys::SocketPair pair = TRY(sys::make_socket_pair());
  const std::string& id = container.record.id;
  if (sys::send_with_descriptor(asking.get(), id.data(), id.size(), pair.theirs.get()) < 0) {
    return sys_error("ask \"moss unshare\"");
  }
  pair.theirs.reset();
  std::optional<Result<Fd>> root = receive_root(pair.ours.get());
  if (!root) return unshare_has_ended();
  return std::move(*root);
}

Error unshare_has_ended() { return Error(0, "the \"moss unshare\" around this has ended; begin a new one"); }

Result<RunningRoots> RunningRoots::open(const Paths& paths, const std::string& folder) {
  const Fd place = TRY(sys::open_at(AT_FDCWD, folder, O_PATH | O_DIRECTORY));
  Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) return sys_error("make a socket");
  const sockaddr_un address = address_in(place.get());
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    return sys_error("make a socket in ", folder);
  }
  return RunningRoots(paths, std::move(socket));
}

void RunningRoots::answer() const {
  char id[kIdBytes + 1];
  Fd reply;
  const ssize_t got = sys::receive_with_descriptors(socket_.get(), id, sizeof id, {&reply, 1});
  if (got != static_cast<ssize_t>(kIdBytes) || !reply) return;
  const auto clone = [&]() -> Result<Fd> {
    const std::string wanted(id, kIdBytes);
    const std::optional<Container> container = TRY(look_up_container(paths_, wanted));
    if (!container || container->record.id != wanted) return Error(ENOENT, "no such container");
    return clone_running_root(*container);
  };
  send_root(reply.get(), clone());
}

void RunningRoots::serve_until_end_of(int pidfd) const {
  pollfd waits[] = {{.fd = pidfd, .events = POLLIN, .revents = 0},
                    {.fd = socket_.get(), .events = POLLIN, .revents = 0}};
  while (true) {
    if (::poll(waits, 2, -1) < 0 && errno != EINTR) return;
    if (waits[0].revents != 0) return;
    if (waits[1].revents != 0) answer();
  }
}

}  // namespace moss::engine
