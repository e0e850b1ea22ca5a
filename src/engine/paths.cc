// Where moss keeps things: the XDG Base Directory rules, and root's places.
#include "moss/engine/paths.hh"

#include <pwd.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

namespace moss::engine {

namespace {

// The spec: paths in these variables must be absolute, others are to be ignored.
std::string absolute_variable(const char* name) {
  const char* value = ::getenv(name);
  if (value == nullptr || value[0] != '/') return {};
  std::string path = value;
  while (path.size() > 1 && path.ends_with('/')) path.pop_back();
  return path;
}

Result<std::string> home() {
  if (std::string path = absolute_variable("HOME"); !path.empty()) return path;
  const passwd* entry = ::getpwuid(::geteuid());
  if (entry == nullptr || entry->pw_dir == nullptr || entry->pw_dir[0] != '/') {
    return Error(0, "find the home folder: HOME is not set and user ", ::geteuid(), " has none; set HOME");
  }
  return std::string(entry->pw_dir);
}

bool is_own_dir(const std::string& path) {
  struct stat status;
  return ::lstat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode) && status.st_uid == ::geteuid();
}

Result<std::string> run_parent() {
  if (std::string path = absolute_variable("XDG_RUNTIME_DIR"); !path.empty()) {
    struct stat status;
    if (::stat(path.c_str(), &status) != 0) {
      return sys_error("use XDG_RUNTIME_DIR ", path,
                       " (log in with a session, set it to a folder of your own, or unset it)");
    }
    return path;
  }
  if (std::string path = cat("/run/user/", ::geteuid()); is_own_dir(path)) return path;
  std::string path = cat("/tmp/moss-run-", ::geteuid());
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return sys_error("make ", path, " (set XDG_RUNTIME_DIR to a folder of your own)");
  }
  struct stat status;
  if (!is_own_dir(path) || ::lstat(path.c_str(), &status) != 0 || (status.st_mode & 0077) != 0) {
    return Error(0, path,
                 " is open to others or belongs to somebody else; set XDG_RUNTIME_DIR to a folder of your own");
  }
  return path;
}

}  // namespace

Result<Paths> find_paths() {
  if (::geteuid() == 0 && ::getenv("XDG_RUNTIME_DIR") == nullptr && ::getenv("XDG_DATA_HOME") == nullptr) {
    return Paths{.data = "/var/lib/moss", .run = "/run/moss"};
  }
  Paths paths;
  std::string data = absolute_variable("XDG_DATA_HOME");
  if (data.empty()) data = TRY(home()) + "/.local/share";
  paths.data = data + "/moss";
  paths.run = TRY(run_parent()) + "/moss";
  return paths;
}

}  // namespace moss::engine
