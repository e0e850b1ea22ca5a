// See tree.hh.
#include "runtime/cgroup/tree.hh"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include <vector>

#include "moss/sys/file.hh"

namespace moss::runtime {

namespace {

bool is_gone(int code) { return code == ENOENT || code == ENODEV; }

Result<std::vector<std::string>> folders_in(int dir) {
  std::vector<std::string> names;
  // Through a descriptor of its own, which closedir(3) closes.
  DIR* stream = ::fdopendir(::openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (stream == nullptr) {
    if (is_gone(errno)) return names;
    return sys_error("look into a cgroup");
  }
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") names.emplace_back(name);
  }
  ::closedir(stream);
  return names;
}

Fd open_folder(int dir, const char* name) {
  return Fd(::openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
}

// Where a walk is: the names that are still to be entered at each level, the last of each list first, and the way down.
struct Level {
  std::string name;
  std::vector<std::string> left;
};

// `enter` with a folder when it is reached, `leave` with its parent and its name when all below it is done.
Result<Ok> walk(const std::string& folder, const std::function<Result<Ok>(int dir)>& enter,
                const std::function<Result<Ok>(int parent, const std::string& name)>& leave) {
  Fd at = open_folder(AT_FDCWD, folder.c_str());
  if (!at) {
    if (is_gone(errno)) return Ok{};
    return sys_error("open ", folder);
  }
  TRY(enter(at.get()));
  std::vector<Level> levels{{"", TRY(folders_in(at.get()))}};
  while (true) {
    Level& level = levels.back();
    if (!level.left.empty()) {
      std::string name = std::move(level.left.back());
      level.left.pop_back();
      Fd child = open_folder(at.get(), name.c_str());
      if (!child) {
        if (is_gone(errno)) continue;
        return sys_error("open a cgroup below ", folder);
      }
      at = std::move(child);
      TRY(enter(at.get()));
      levels.push_back({std::move(name), TRY(folders_in(at.get()))});
      continue;
    }
    if (levels.size() == 1) return Ok{};
    Fd parent = open_folder(at.get(), "..");
    // Somebody removes it under our feet: the caller looks again.
    if (!parent) return Error(errno, "walk through ", folder);
    at = std::move(parent);
    TRY(leave(at.get(), level.name));
    levels.pop_back();
  }
}

Result<Ok> nothing(int, const std::string&) { return Ok{}; }

}  // namespace

Result<Ok> walk_cgroups(const std::string& folder, const std::function<Result<Ok>(int dir)>& visit) {
  for (int round = 0;; ++round) {
    const Result<Ok> walked = walk(folder, visit, nothing);
    if (walked.ok() || !is_gone(walked.error().code()) || round == 100) return walked;
  }
}

Result<bool> remove_below(const std::string& folder) {
  bool all = true;
  const auto remove = [&](int parent, const std::string& name) -> Result<Ok> {
    if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || is_gone(errno)) return Ok{};
    // EBUSY is said of a folder with folders, with processes, and of one that a process has left only just now.
    if (errno != EBUSY && errno != ENOTEMPTY) return sys_error("remove a cgroup below ", folder);
    all = false;
    return Ok{};
  };
  const Result<Ok> walked = walk(folder, [](int) { return Ok{}; }, remove);
  if (!walked.ok() && !is_gone(walked.error().code())) return walked.error();
  return all && walked.ok();
}

}  // namespace moss::runtime
