// Cgroups as folders: paths inside a tree, and the files in a folder. Private to runtime/cgroup.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::runtime {

// ---- paths, pure ----

/// "/a/b" from "a//b/", "/./a/b": absolute, one slash between names, none at the end but in "/".
/// Error: a ".." in it.
Result<std::string> clean_cgroup_path(std::string_view path);
/// "/a/b" and "c/d" give "/a/b/c/d"; "/" and "c" give "/c".
std::string below(std::string_view folder, std::string_view path);
/// "/a" of "/a/b", "/" of "/a" and of "/".
std::string parent_of(std::string_view path);
/// Whether `path` is `folder` or below it.
bool is_within(std::string_view path, std::string_view folder);

// ---- files, by the kernel ----

/// A file of a cgroup, whole and without the newline at its end.
Result<std::string> read_control(const std::string& folder, const std::string& file);
/// The same; nothing where there is no such file or folder (any more).
Result<std::optional<std::string>> read_control_if_exists(const std::string& folder, const std::string& file);
/// One write(2) of `value` to an existing file. ENODEV is a folder that is gone.
Result<Ok> write_control(const std::string& folder, const std::string& file, std::string_view value);
/// The number after `key` in a file of "key number" lines, such as cgroup.events.
std::optional<uint64_t> keyed_number(std::string_view text, std::string_view key);
/// The folders directly in `folder`. Empty where it is gone.
Result<std::vector<std::string>> child_folders(const std::string& folder);
bool folder_exists(const std::string& folder);

}  // namespace moss::runtime
