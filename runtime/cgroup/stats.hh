// Reading figures out of a cgroup's files. Private to runtime/cgroup.
#pragma once

#include "moss/runtime/cgroup.hh"

namespace moss::runtime {

/// The files of one folder. What is not there is nought or empty.
class Figures {
 public:
  /// `folder` may be null: a controller that is not there at all. Borrowed.
  explicit Figures(const std::string* folder);
  std::string text(const std::string& file) const;
  /// "max" is 2^64-1.
  uint64_t number(const std::string& file) const;
  /// Lines of "key number".
  std::map<std::string, uint64_t> table(const std::string& file) const;

 private:
  const std::string* folder_;
};

uint64_t value_or_zero(const std::map<std::string, uint64_t>& table, const std::string& key);
/// "0-2,5" is 0, 1, 2, 5.
std::vector<uint16_t> number_list(std::string_view text);

/// The sizes of huge pages that this kernel has: "2MB", "1GB", as the files of the controller are called.
std::vector<std::string> hugepage_sizes();

CgroupStats unified_stats(const std::string& folder);
CgroupStats v1_stats(const CgroupRecord& record);

}  // namespace moss::runtime
