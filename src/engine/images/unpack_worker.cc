// The process that unpacks: one request a message, one reply a pipe.
//
//   request                      descriptors                  reply, then end of file
//   'u'                          reply, input, destination    "ok DIFF_ID BYTES opaque|plain", a line for each warning;
//                                                             or "error CODE MESSAGE"
//   's'                          reply                        "ok"
//   'r' NAME                     reply, parent folder         "ok" or "error CODE MESSAGE"
#include "unpack_worker.hh"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <set>

#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "moss/sys/pipe.hh"
#include "moss/sys/socket.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxDescriptors = 3;
constexpr size_t kMaxReplyBytes = 64u << 10;

struct Request {
  std::string text;
  std::array<Fd, kMaxDescriptors> descriptors;
};

Result<Ok> send_request(int socket, std::string_view text, std::initializer_list<int> descriptors) {
  if (sys::send_with_descriptors(socket, text.data(), text.size(), descriptors) < 0) {
    return sys_error("ask the unpacking process");
  }
  return Ok{};
}

// Nothing once the other end is closed.
std::optional<Request> receive_request(int socket) {
  Request request;
  request.text.resize(8192);
  const ssize_t got =
      sys::receive_with_descriptors(socket, request.text.data(), request.text.size(), request.descriptors);
  if (got <= 0) return std::nullopt;
  request.text.resize(static_cast<size_t>(got));
  return request;
}

void reply_error(int reply, const Error& error) {
  (void)sys::write_all(reply, cat("error ", error.code(), " ", error.message()), "reply");
}

int unpack_one(const Request& request, const UnpackOptions& options) {
  const int reply = request.descriptors[0].get();
  // By its descriptor: the folders above belong to the caller, and a mapped root may not be able to pass them. With
  // "/." behind, as the link itself is no folder.
  const std::string destination = cat("/proc/self/fd/", request.descriptors[2].get(), "/.");
  const Result<UnpackedLayer> layer = unpack_layer(request.descriptors[1].get(), destination, options);
  if (layer.ok()) {
    std::string text = cat("ok ", layer->diff_id, " ", layer->bytes, layer->opaque_root ? " opaque" : " plain");
    for (const std::string& warning : layer->warnings) text += "\n" + warning;
    (void)sys::write_all(reply, text, "reply");
  } else {
    reply_error(reply, layer.error());
  }
  return 0;
}

void reap(std::set<pid_t>& jobs) {
  for (pid_t pid; (pid = ::waitpid(-1, nullptr, WNOHANG)) > 0;) jobs.erase(pid);
}

// The worker's own life. It ends with the socket, and its jobs with it.
int serve(int socket, UnpackOptions options) {
  std::set<pid_t> jobs;
  const Result<Fd> budget = make_memory_budget();
  if (budget.ok()) options.memory_budget = budget->get();
  while (std::optional<Request> request = receive_request(socket)) {
    reap(jobs);
    const int reply = request->descriptors[0].get();
    switch (request->text[0]) {
      case 'u': {
        if (!budget.ok()) {
          reply_error(reply, budget.error());
          break;
        }
        const pid_t pid = ::fork();
        if (pid == 0) {
          ::prctl(PR_SET_PDEATHSIG, SIGKILL);
          ::close(socket);
          ::_exit(unpack_one(*request, options));
        }
        if (pid < 0) {
          reply_error(reply, sys_error("start a process to unpack with"));
        } else {
          jobs.insert(pid);
        }
        break;
      }
      case 's':
        for (const pid_t pid : jobs) ::kill(pid, SIGKILL);
        for (const pid_t pid : jobs) ::waitpid(pid, nullptr, 0);
        jobs.clear();
        (void)sys::write_all(reply, "ok", "reply");
        break;
      case 'r': {
        const Result<Ok> removed = sys::remove_tree_at(request->descriptors[1].get(), request->text.substr(1));
        if (removed.ok()) {
          (void)sys::write_all(reply, "ok", "reply");
        } else {
          reply_error(reply, removed.error());
        }
        break;
      }
      default:
        reply_error(reply, Error(EPROTO, "the unpacking process was asked for something it does not know"));
    }
  }
  for (const pid_t pid : jobs) ::kill(pid, SIGKILL);
  return 0;
}

Result<std::string> check_reply(const std::string& text) {
  if (text.starts_with("ok")) return text.size() > 3 ? text.substr(3) : std::string();
  if (!text.starts_with("error ")) return Error(0, "the process that unpacks was killed; is there enough memory?");
  const auto [code, message] = cut(std::string_view(text).substr(6), ' ');
  return Error(parse_number<int>(code).value_or(0), message.value_or(""));
}

}  // namespace

Result<std::optional<UnpackedLayer>> UnpackJob::read() {
  while (true) {
    char bytes[4096];
    const ssize_t got = ::read(reply_.get(), bytes, sizeof bytes);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) return std::optional<UnpackedLayer>();
    if (got < 0) return sys_error("read from the process that unpacks");
    if (got == 0) break;
    if (text_.size() < kMaxReplyBytes) text_.append(bytes, static_cast<size_t>(got));
  }
  reply_.reset();
  const std::string text = TRY(check_reply(text_));
  std::vector<std::string_view> lines = split(text, '\n');
  const std::vector<std::string_view> words = split(lines.empty() ? "" : lines[0], ' ');
  if (words.size() != 3) return Error(0, "the process that unpacks gave no result; is there enough memory?");
  UnpackedLayer layer;
  layer.diff_id = words[0];
  layer.bytes = parse_number<uint64_t>(words[1]).value_or(0);
  layer.opaque_root = words[2] == "opaque";
  layer.warnings.assign(lines.begin() + 1, lines.end());
  return std::optional(std::move(layer));
}

Result<UnpackWorker> UnpackWorker::start(const IdMap& map, const UnpackOptions& options) {
  sys::SocketPair pair = TRY(sys::make_socket_pair());
  const auto body = [&] {
    // Nothing of the caller's stays open but the socket: a second holder would hide a pipe's end or keep a lock.
    const auto socket = static_cast<unsigned>(pair.theirs.get());
    if (socket > 3) ::close_range(3, socket - 1, 0);
    ::close_range(socket + 1, ~0U, 0);
    ::signal(SIGPIPE, SIG_IGN);
    ::signal(SIGCHLD, SIG_DFL);
    ::umask(0022);
    return serve(pair.theirs.get(), options);
  };
  sys::NamespaceChild child = TRY(sys::NamespaceChild::start(map, body, &load_unpack_libraries));
  return UnpackWorker(std::move(pair.ours), std::move(child));
}

Result<Fd> UnpackWorker::ask(char request, std::string_view text, std::initializer_list<int> descriptors) {
  TRY(child_.run().context("start unpacking"));
  auto [reading, writing] = TRY(sys::make_pipe());
  const std::string message = cat(request, text);
  switch (descriptors.size()) {
    case 0:
      TRY(send_request(socket_.get(), message, {writing.get()}));
      break;
    case 1:
      TRY(send_request(socket_.get(), message, {writing.get(), descriptors.begin()[0]}));
      break;
    default:
      TRY(send_request(socket_.get(), message, {writing.get(), descriptors.begin()[0], descriptors.begin()[1]}));
      break;
  }
  return std::move(reading);
}

namespace {

Result<Ok> wait_for_reply(int fd) {
  std::string text;
  char bytes[4096];
  ssize_t got;
  while ((got = ::read(fd, bytes, sizeof bytes)) > 0 || (got < 0 && errno == EINTR)) {
    if (got > 0) text.append(bytes, static_cast<size_t>(got));
  }
  TRY(check_reply(text));
  return Ok{};
}

}  // namespace

Result<UnpackJob> UnpackWorker::unpack(int input, int destination) {
  Fd reply = TRY(ask('u', "", {input, destination}));
  if (::fcntl(reply.get(), F_SETFL, O_NONBLOCK) != 0) return sys_error("prepare a pipe");
  return UnpackJob(std::move(reply));
}

Result<Ok> UnpackWorker::stop_jobs() {
  if (!child_.runs()) return Ok{};
  const Fd reply = TRY(ask('s', "", {}));
  return wait_for_reply(reply.get());
}

Result<Ok> UnpackWorker::remove(const std::string& parent, const std::string& name) {
  const Fd dir = TRY(sys::open_at(AT_FDCWD, parent, O_RDONLY | O_DIRECTORY));
  const Fd reply = TRY(ask('r', name, {dir.get()}));
  return wait_for_reply(reply.get()).context("remove ", parent, "/", name);
}

}  // namespace moss::engine
