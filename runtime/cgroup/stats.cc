// One look at a container's cgroup: what it has used.
//
// A controller that is not there, or a file that this kernel has not, leaves its figures at nought. Those of v2 come in
// v1's shape where the two differ, for that is what readers of `events` know: swap is memory and swap together.
#include "runtime/cgroup/stats.hh"

#include "runtime/cgroup/apply.hh"
#include "runtime/cgroup/folders.hh"

namespace moss::runtime {

Figures::Figures(const std::string* folder) : folder_(folder) {}

std::string Figures::text(const std::string& file) const {
  if (folder_ == nullptr) return {};
  Result<std::string> text = read_control(*folder_, file);
  return text.ok() ? std::move(text).value() : std::string();
}

uint64_t Figures::number(const std::string& file) const {
  const std::string value = text(file);
  if (value == "max") return UINT64_MAX;
  return parse_number<uint64_t>(value).value_or(0);
}

std::map<std::string, uint64_t> Figures::table(const std::string& file) const {
  std::map<std::string, uint64_t> table;
  const std::string lines = text(file);
  for (const std::string_view line : split(lines, '\n')) {
    const auto [key, value] = cut(line, ' ');
    if (!value) continue;
    if (const auto number = parse_number<uint64_t>(trim(*value))) table[std::string(key)] = *number;
  }
  return table;
}

uint64_t value_or_zero(const std::map<std::string, uint64_t>& table, const std::string& key) {
  const auto found = table.find(key);
  return found == table.end() ? 0 : found->second;
}

std::vector<uint16_t> number_list(std::string_view text) {
  std::vector<uint16_t> numbers;
  for (const std::string_view part : split(text, ',')) {
    const auto [first_text, last_text] = cut(part, '-');
    const auto first = parse_number<uint16_t>(first_text);
    const auto last = parse_number<uint16_t>(last_text.value_or(first_text));
    if (!first || !last) continue;
    for (uint32_t i = *first; i <= *last; ++i) numbers.push_back(static_cast<uint16_t>(i));
  }
  return numbers;
}

namespace {

// "2MB" for the kernel's "hugepages-2048kB"; empty for anything else.
std::string page_size_name(std::string_view folder) {
  constexpr std::string_view kPrefix = "hugepages-";
  if (!folder.starts_with(kPrefix) || !folder.ends_with("kB")) return {};
  const auto kb = parse_number<uint64_t>(folder.substr(kPrefix.size(), folder.size() - kPrefix.size() - 2));
  if (!kb) return {};
  if (*kb >= 1u << 20) return cat(*kb >> 20, "GB");
  return *kb >= 1u << 10 ? cat(*kb >> 10, "MB") : cat(*kb, "KB");
}

}  // namespace

std::vector<std::string> hugepage_sizes() {
  std::vector<std::string> sizes;
  const Result<std::vector<std::string>> folders = child_folders("/sys/kernel/mm/hugepages");
  if (!folders.ok()) return sizes;
  for (const std::string& folder : *folders) {
    if (std::string size = page_size_name(folder); !size.empty()) sizes.push_back(std::move(size));
  }
  return sizes;
}

Result<CgroupStats> cgroup_stats(const CgroupRecord& record) {
  if (record.folders.empty()) return Error(0, "the container has no cgroup of its own, and so no figures");
  const std::string& any = record.folders.begin()->second;
  if (!folder_exists(any)) return Error(ENOENT, "the container's cgroup ", any, " is gone");
  return is_unified(record) ? unified_stats(any) : v1_stats(record);
}

}  // namespace moss::runtime
