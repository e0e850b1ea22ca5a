// Users and groups by passwd(5) and group(5), read as an image's data: a line that is not well formed is no line.
#include "src/engine/containers/users.hh"

#include <algorithm>

#include "moss/base/text.hh"

namespace moss::engine {

namespace {

struct PasswdLine {
  std::string_view name;
  uint32_t uid;
  uint32_t gid;
  std::string_view home;
};

struct GroupLine {
  std::string_view name;
  uint32_t gid;
  std::vector<std::string_view> members;
};

std::vector<PasswdLine> parse_passwd(std::string_view text) {
  std::vector<PasswdLine> lines;
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> fields = split(line, ':');
    if (fields.size() < 6 || fields[0].empty()) continue;
    const auto uid = parse_number<uint32_t>(fields[2]);
    const auto gid = parse_number<uint32_t>(fields[3]);
    if (uid && gid) lines.push_back({fields[0], *uid, *gid, fields[5]});
  }
  return lines;
}

std::vector<GroupLine> parse_group(std::string_view text) {
  std::vector<GroupLine> lines;
  for (const std::string_view line : split(text, '\n')) {
    const std::vector<std::string_view> fields = split(line, ':');
    if (fields.size() < 3 || fields[0].empty()) continue;
    const auto gid = parse_number<uint32_t>(fields[2]);
    if (!gid) continue;
    lines.push_back({fields[0], *gid, fields.size() > 3 ? split(fields[3], ',') : std::vector<std::string_view>{}});
  }
  return lines;
}

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// Ids of 2^31 and up overflow to root in programs that keep them in an int (CVE-2024-40635).
Result<uint32_t> parse_id(std::string_view digits, const char* what) {
  const auto id = parse_number<uint32_t>(digits);
  if (!id || *id > INT32_MAX) return Error(0, what, " ", digits, ": ids go from 0 to 2147483647");
  return *id;
}

// A name as useradd(8) would take it, loosely: nothing that could be a number with something around it.
bool is_name(std::string_view text) {
  if (text.empty() || text.front() == '-' || text.front() == '+') return false;
  if (is_digits(text.substr(0, 1))) return false;
  return std::all_of(text.begin(), text.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
           c == '.' || c == '$' || c == '@';
  });
}

Result<uint32_t> resolve_group(std::string_view spec, const std::vector<GroupLine>& groups) {
  if (is_digits(spec)) return parse_id(spec, "group");
  if (!is_name(spec)) return Error(0, "\"", printable(spec), "\" is no group: give a name or a number");
  for (const GroupLine& line : groups) {
    if (line.name != spec) continue;
    if (line.gid > INT32_MAX) return Error(0, "group ", printable(spec), ": ids go from 0 to 2147483647");
    return line.gid;
  }
  return Error(0, "no group ", printable(spec), " in the container's /etc/group");
}

}  // namespace

Result<ResolvedUser> resolve_user(std::string_view spec, std::string_view passwd, std::string_view group,
                                  const std::vector<std::string>& group_add) {
  const std::vector<PasswdLine> users = parse_passwd(passwd);
  const std::vector<GroupLine> groups = parse_group(group);
  const auto [user_spec, group_spec] = cut(spec, ':');
  ResolvedUser resolved;
  const PasswdLine* line = nullptr;
  const auto find_line = [&](auto&& matches) {
    const auto found = std::find_if(users.begin(), users.end(), matches);
    if (found != users.end()) line = &*found;
  };
  if (user_spec.empty()) {
    if (group_spec) return Error(0, "user \"", printable(spec), "\": the name before \":\" is missing");
    find_line([](const PasswdLine& l) { return l.uid == 0; });
  } else if (is_digits(user_spec)) {
    resolved.uid = TRY(parse_id(user_spec, "user"));
    find_line([&](const PasswdLine& l) { return l.uid == resolved.uid; });
  } else if (!is_name(user_spec)) {
    return Error(0, "\"", printable(user_spec), "\" is no user: give a name or a number");
  } else {
    find_line([&](const PasswdLine& l) { return l.name == user_spec; });
    if (line == nullptr) return Error(0, "no user ", printable(user_spec), " in the container's /etc/passwd");
  }
  if (line != nullptr) {
    if (line->uid > INT32_MAX || line->gid > INT32_MAX) {
      return Error(0, "user ", printable(line->name), ": ids go from 0 to 2147483647");
    }
    resolved.uid = line->uid;
    resolved.gid = line->gid;
    resolved.in_passwd = true;
    // An absolute path without control bytes, or none: it becomes an environment variable.
    if (line->home.starts_with('/') && printable(line->home) == line->home) resolved.home = line->home;
  }
  if (group_spec) {
    resolved.gid = TRY(resolve_group(*group_spec, groups));
  } else if (line != nullptr) {
    for (const GroupLine& entry : groups) {
      if (entry.gid > INT32_MAX || entry.gid == resolved.gid) continue;
      if (std::find(entry.members.begin(), entry.members.end(), line->name) != entry.members.end()) {
        resolved.groups.push_back(entry.gid);
      }
    }
  }
  resolved.in_group =
      std::any_of(groups.begin(), groups.end(), [&](const GroupLine& entry) { return entry.gid == resolved.gid; });
  for (const std::string& extra : group_add) {
    if (extra == "keep-groups") {
      return Error(0, "--group-add keep-groups is not supported: none of your groups gets into the container");
    }
    const uint32_t gid = TRY(resolve_group(extra, groups));
    if (std::find(resolved.groups.begin(), resolved.groups.end(), gid) == resolved.groups.end()) {
      resolved.groups.push_back(gid);
    }
  }
  return resolved;
}

}  // namespace moss::engine
