// What the two ways to find changes have in common: of a layer by itself, and between any two sets of files.
#pragma once

#include <array>
#include <functional>
#include <string>
#include <vector>

#include "moss/base/id_range.hh"
#include "moss/base/result.hh"
#include "moss/engine/container_files.hh"

namespace moss::engine {

// A descriptor is open for every folder on the way down, and a container may nest them without end.
inline constexpr size_t kMaxDepth = 2000;
Error too_deep(const std::string& path);

// What moss makes for its mounts, and Podman leaves out too.
inline constexpr std::array<std::string_view, 10> kOwnPlaces = {
    "/dev",         "/etc/hostname", "/etc/hosts", "/etc/resolv.conf", "/proc", "/run", "/run/.containerenv",
    "/run/secrets", "/sys",          "/tmp"};

/// Takes changes in a process in a user namespace: "A/path\0" for each.
class ChangeWriter {
 public:
  explicit ChangeWriter(int out) : out_(out) {}
  Result<Ok> write(char kind, const std::string& path);
  Result<Ok> flush();

 private:
  int out_;
  std::string text_;
};

/// Runs `work` in such a process; what it wrote, sorted by path. The caller must have no threads.
Result<std::vector<Change>> collect_changes(const IdMap& map, const std::function<Result<Ok>(ChangeWriter& out)>& work);

}  // namespace moss::engine
