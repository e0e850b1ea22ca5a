// Servers to pull from.
#include "server_fixture.hh"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "moss/sys/file.hh"

namespace moss::test {

namespace {

void pause_ms(long ms) {
  const timespec pause{.tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1'000'000};
  ::nanosleep(&pause, nullptr);
}

sockaddr_in loopback(uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

// A port nobody listens on now; somebody may by the time it is used, which the caller sees and tries again.
uint16_t free_port() {
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address = loopback(0);
  socklen_t size = sizeof address;
  if (::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), size) != 0) return 0;
  ::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

// What could not have the port has ended at once, and somebody else answers there.
bool still_runs(const sys::Child& child) {
  siginfo_t info{};
  return ::waitid(P_PID, static_cast<id_t>(child.pid()), &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0;
}

bool listens(uint16_t port) {
  const Fd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_in address = loopback(port);
  return ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

}  // namespace

void ServerTest::TearDown() {
  mock_stdin_.reset();
  server_.kill_and_reap();
  ImageTest::TearDown();
}

bool ServerTest::start_registry() {
  const auto program = sys::find_program("docker-registry");
  if (!program || !sys::find_program("skopeo")) return false;
  for (int attempt = 0; attempt < 5; ++attempt) {
    const uint16_t port = free_port();
    host_ = cat("127.0.0.1:", port);
    const std::string config = base() + "/registry.yml";
    EXPECT_TRUE(succeeded(sys::replace_file(
        config, cat("version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ", base(),
                    "/registry}}\nhttp: {addr: ", host_, "}\n"))));
    Result<sys::Child> started = sys::spawn({*program, "serve", config}, {});
    if (!started.ok()) return false;
    server_ = std::move(started).value();
    for (int i = 0; i < 1000 && still_runs(server_); ++i) {
      if (listens(port)) return still_runs(server_);
      pause_ms(20);
    }
  }
  return false;
}

void ServerTest::push(const std::string& layout, const std::string& name) {
  const std::string command = cat("skopeo copy --quiet --all --insecure-policy --dest-tls-verify=false oci:", layout,
                                  " docker://", host_, "/", name, " >/dev/null 2>", base(), "/skopeo.log");
  ASSERT_EQ(::system(command.c_str()), 0) << sys::read_file(base() + "/skopeo.log", 1 << 20).value();
}

std::string ServerTest::registry_blob(const std::string& digest) const {
  const std::string hex = digest.substr(7);
  return cat(base(), "/registry/docker/registry/v2/blobs/sha256/", hex.substr(0, 2), "/", hex, "/data");
}

bool ServerTest::start_mock(const std::string& layout) {
  const auto python = sys::find_program("python3");
  if (!python) return false;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return false;
  const Fd reading(ends[0]);
  mock_stdin_.reset(ends[1]);
  const std::string log = base() + "/mock.log";
  const Fd output(::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  Result<sys::Child> started = sys::spawn({*python, MOSS_SOURCE_DIR "/tests/images/mock_registry.py", layout},
                                          {.stdin_fd = reading.get(), .stdout_fd = output.get()});
  if (!started.ok()) return false;
  server_ = std::move(started).value();
  for (int i = 0; i < 2000; ++i) {
    const std::string text = sys::read_file(log, 1 << 20).value();
    if (text.find('\n') != std::string::npos) {
      host_ = cat("127.0.0.1:", text.substr(0, text.find(' ')));
      return true;
    }
    pause_ms(20);
  }
  return false;
}

std::vector<std::string> ServerTest::requests() {
  std::vector<std::string> lines;
  const std::string text = sys::read_file(base() + "/mock.log", 1 << 24).value();
  for (const std::string_view line : split(text, '\n')) {
    if (line.starts_with("GET ")) lines.emplace_back(line.substr(4));
  }
  return lines;
}

Result<engine::Image> ServerTest::pull(const std::string& name, engine::PullOptions options) {
  if (options.map.uids.empty()) options.map = single_id();
  return engine::pull(store(), name, options);
}

}  // namespace moss::test
