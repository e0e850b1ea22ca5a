// What the two versions of cgroups have in common when limits become files. Private to runtime/cgroup.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "moss/runtime/cgroup.hh"

namespace moss::runtime {

/// A growing list of writes.
class Writes {
 public:
  CgroupWrite& add(std::string_view limit, std::string_view controller, std::string_view file, std::string value) {
    list_.push_back({.limit = std::string(limit),
                     .controller = std::string(controller),
                     .file = std::string(file),
                     .value = std::move(value),
                     .other_file = {},
                     .other_value = {}});
    return list_.back();
  }
  std::vector<CgroupWrite> take() && { return std::move(list_); }

 private:
  std::vector<CgroupWrite> list_;
};

/// "2MB": what cgroup files and config.json call a size of huge pages. Digits and a unit, so that it is no path.
bool is_page_size(std::string_view text);
/// "0-3,7": numbers and runs of them; the kernel looks closer.
bool is_cpu_list(std::string_view text);

/// Each rdma device as a line of rdma.max. Errors: a name that would be more than a word.
Result<Ok> add_rdma(Writes& out, const oci::Resources& resources);
/// What no kernel could take, whatever the version: names, ranges, contradictions.
Result<Ok> check_resources(const oci::Resources& resources);

}  // namespace moss::runtime
