// How an outcome is told. Engines read it: Podman takes the whole --log file for one JSON object, containerd the last
// line of level "error", both look for certain words in it, and most of them read stderr as well.
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "moss/base/time.hh"
#include "moss/sys/file.hh"
#include "src/cli/oci/verb.hh"

namespace moss::cli {

namespace {

// printable() has left no control bytes.
std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += c;
  }
  return out + '"';
}

// What goes wrong here is not worth hiding the real outcome for.
void send_to(const char* socket_path, const std::string& datagram) {
  const Fd socket(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  ::strncpy(address.sun_path, socket_path, sizeof address.sun_path - 1);
  (void)::sendto(socket.get(), datagram.data(), datagram.size(), MSG_NOSIGNAL,
                 reinterpret_cast<const sockaddr*>(&address), sizeof address);
}

// --log PATH, file:PATH, journald:NAME, syslog:NAME: as crun has them.
void write_log(const OciGlobals& globals, const char* level, const std::string& message) {
  if (globals.log.empty()) return;
  const bool error = std::string_view(level) == "error";
  const auto [kind, name] = cut(globals.log, ':');
  if (name && kind == "journald") {
    send_to("/run/systemd/journal/socket", cat("MESSAGE=", message, "\nPRIORITY=", error ? 3 : 4,
                                               "\nSYSLOG_IDENTIFIER=", *name, "\nID=", *name, "\n"));
    return;
  }
  if (name && kind == "syslog") {
    send_to("/dev/log", cat("<", 3 * 8 + (error ? 3 : 4), ">", *name, ": ", message));
    return;
  }
  const std::string path = name && kind == "file" ? std::string(*name) : globals.log;
  const std::string line =
      globals.log_format == "json"
          ? cat("{\"level\":\"", level, "\",\"msg\":", quoted(message), ",\"time\":\"", now_rfc3339(6), "\"}\n")
          : cat("time=\"", now_rfc3339(6), "\" level=", level, " msg=", quoted(message), "\n");
  const Result<Fd> file = sys::open_at(AT_FDCWD, path, O_WRONLY | O_APPEND | O_CREAT | O_NOCTTY | O_NONBLOCK, 0644);
  if (file.ok()) (void)sys::write_all(file->get(), line, path);
}

}  // namespace

runtime::Note OciGlobals::warnings() const {
  // With JSON the log holds the fatal error alone, since Podman takes it for one object.
  return [this](const std::string& line) {
    if (log_format != "json") write_log(*this, "warning", printable(line));
  };
}

void OciGlobals::tell_debug(const std::string& line) const {
  if (!debug && log_level != "debug") return;
  OciGlobals where = *this;
  if (where.log.empty()) where.log = "/dev/stderr";
  write_log(where, "debug", printable(line));
}

int oci_fail(const OciGlobals& globals, const Error& error, int otherwise) {
  // errno's text begins in lower case, as it does for runc: Docker looks for it so, to tell 127 from 125.
  std::string text = error.to_string();
  if (const size_t at = error.message().size() + 2; error.code() != 0 && at < text.size()) {
    if (text[at] >= 'A' && text[at] <= 'Z') text[at] = static_cast<char>(text[at] - 'A' + 'a');
  }
  const std::string message = printable(text);
  write_log(globals, "error", message);
  const std::string line = cat(globals.called_as, ": ", message, "\n");
  (void)!::write(STDERR_FILENO, line.data(), line.size());
  return error.exit_code().value_or(otherwise);
}

}  // namespace moss::cli
