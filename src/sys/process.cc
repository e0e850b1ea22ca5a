// See process.hh.
#include "moss/sys/process.hh"

#include <cstdlib>

#include "moss/sys/file.hh"

namespace moss::sys {

std::optional<uint64_t> start_time_of(int64_t pid) {
  const Result<std::string> text = read_kernel_file(cat("/proc/", pid, "/stat"));
  if (!text.ok()) return std::nullopt;
  // The name in field 2 may hold spaces and parentheses; what follows its last one does not.
  const size_t name_end = text->rfind(')');
  if (name_end == std::string::npos) return std::nullopt;
  const std::vector<std::string_view> rest = split(std::string_view(*text).substr(name_end + 1), ' ');
  // rest[0] is empty, rest[1] is field 3.
  return rest.size() > 20 ? parse_number<uint64_t>(rest[20]) : std::nullopt;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr ? value : "";
}

}  // namespace moss::sys
