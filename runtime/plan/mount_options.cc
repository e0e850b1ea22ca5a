// One table for every mount option that is not the filesystem's own.
#include "runtime/plan/mount_options.hh"

#include <sys/mount.h>

#include <algorithm>
#include <string_view>

namespace moss::runtime {

namespace {

struct Attribute {
  std::string_view name;
  uint64_t set;
  uint64_t clear;
};

// A time option replaces the whole field: mount_setattr(2) wants MOUNT_ATTR__ATIME cleared with it.
constexpr Attribute kAttributes[] = {
    {"ro", MOUNT_ATTR_RDONLY, 0},
    {"rw", 0, MOUNT_ATTR_RDONLY},
    {"nosuid", MOUNT_ATTR_NOSUID, 0},
    {"suid", 0, MOUNT_ATTR_NOSUID},
    {"nodev", MOUNT_ATTR_NODEV, 0},
    {"dev", 0, MOUNT_ATTR_NODEV},
    {"noexec", MOUNT_ATTR_NOEXEC, 0},
    {"exec", 0, MOUNT_ATTR_NOEXEC},
    {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME},
    {"atime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"norelatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME},
    {"nostrictatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW},
};

struct Propagation {
  std::string_view name;
  uint64_t type;
};

constexpr Propagation kPropagations[] = {
    {"private", MS_PRIVATE}, {"slave", MS_SLAVE}, {"shared", MS_SHARED}, {"unbindable", MS_UNBINDABLE}};

// "loud" and "silent" are about the kernel's log while mount(2) looks at a filesystem; fsopen(2) never writes there and
// hands its messages to the caller. "exec" and the like are what a mount is anyhow.
constexpr std::string_view kNothingToDo[] = {"defaults", "loud", "silent"};

// The superblock's, which fsconfig(2) takes by these names; they stand here for known_mount_options() alone.
constexpr std::string_view kSuperblock[] = {"async",  "dirsync", "iversion",   "lazytime",  "mand",
                                            "nomand", "sync",    "noiversion", "nolazytime"};

constexpr std::string_view kOthers[] = {"bind", "rbind", "remount", "tmpcopyup", "idmap", "ridmap"};

const Attribute* find_attribute(std::string_view name) {
  for (const Attribute& attribute : kAttributes) {
    if (attribute.name == name) return &attribute;
  }
  return nullptr;
}

const Propagation* find_propagation(std::string_view name) {
  for (const Propagation& propagation : kPropagations) {
    if (propagation.name == name) return &propagation;
  }
  return nullptr;
}

bool asks_for_nothing(std::string_view name) {
  for (const std::string_view known : kNothingToDo) {
    if (known == name) return true;
  }
  return false;
}

// The last word on a flag counts.
void apply(const Attribute& attribute, uint64_t& set, uint64_t& clear) {
  set = (set & ~attribute.clear) | attribute.set;
  clear = (clear & ~attribute.set) | attribute.clear;
}

}  // namespace

MountOptions parse_mount_options(const std::vector<std::string>& options) {
  MountOptions parsed;
  for (const std::string& option : options) {
    const std::string_view recursive = option.starts_with('r') ? std::string_view(option).substr(1) : "";
    if (option == "bind") {
      parsed.bind = true;
    } else if (option == "rbind") {
      parsed.bind = parsed.recursive_bind = true;
    } else if (option == "remount") {
      parsed.remount = true;
    } else if (option == "tmpcopyup") {
      parsed.copy_up = true;
    } else if (option == "idmap" || option == "ridmap") {
      parsed.idmap = true;
      parsed.idmap_recursive = option == "ridmap";
    } else if (option.starts_with("idmap=") || option.starts_with("ridmap=")) {
      parsed.idmap = true;
      parsed.idmap_recursive = option.starts_with('r');
      parsed.idmap_ranges = option.substr(option.find('=') + 1);
    } else if (asks_for_nothing(option)) {
      continue;
    } else if (const Attribute* attribute = find_attribute(option)) {
      apply(*attribute, parsed.set, parsed.clear);
    } else if (const Propagation* propagation = find_propagation(option)) {
      parsed.propagation = propagation->type;
      parsed.propagation_recursive = false;
    } else if (const Propagation* recursively = find_propagation(recursive)) {
      parsed.propagation = recursively->type;
      parsed.propagation_recursive = true;
    } else if (const Attribute* everywhere = find_attribute(recursive)) {
      apply(*everywhere, parsed.set_below, parsed.clear_below);
    } else {
      parsed.data.push_back(option);
    }
  }
  return parsed;
}

namespace {

// "0-1-10#10-11-10": first id on the filesystem, first id it looks like, how many.
Result<std::vector<IdRange>> parse_ranges(std::string_view text, const std::vector<IdRange>& container) {
  const bool relative = text.starts_with('@');
  if (relative) text.remove_prefix(1);
  std::vector<IdRange> ranges;
  for (const std::string_view one : split(text, '#')) {
    const std::vector<std::string_view> numbers = split(one, '-');
    const auto number = [&](size_t i) {
      return i < numbers.size() ? parse_number<uint32_t>(numbers[i]) : std::nullopt;
    };
    if (numbers.size() != 3 || !number(0) || !number(1) || !number(2)) {
      return Error(0, "three numbers such as 0-1-10, not \"", printable(one), "\"");
    }
    IdRange range{.inside = *number(0), .outside = *number(1), .count = *number(2)};
    if (relative) {
      const auto holder = std::find_if(container.begin(), container.end(), [&](const IdRange& own) {
        return range.outside >= own.inside && range.outside - own.inside < own.count &&
               range.count <= own.count - (range.outside - own.inside);
      });
      if (holder == container.end()) return Error(0, "@", printable(one), ": not in one range of the container's");
      range.outside += holder->outside - holder->inside;
    }
    ranges.push_back(range);
  }
  return ranges;
}

}  // namespace

Result<IdMap> parse_idmap_ranges(const std::string& ranges, const IdMap& container) {
  IdMap map;
  for (const std::string_view part : split(ranges, ';')) {
    const auto [kind, list] = cut(part, '=');
    if (!list || (kind != "uids" && kind != "gids")) return Error(0, "uids= or gids=, not \"", printable(part), "\"");
    const bool users = kind == "uids";
    std::vector<IdRange>& to = users ? map.uids : map.gids;
    if (!to.empty()) return Error(0, kind, " twice");
    to = TRY(parse_ranges(*list, users ? container.uids : container.gids).context(kind));
  }
  if (map.uids.empty() || map.gids.empty()) return Error(0, "uids and gids go together");
  return map;
}

std::vector<std::string> known_mount_options() {
  std::vector<std::string> names;
  const auto add = [&](std::string_view prefix, std::string_view name) {
    names.push_back(std::string(prefix) + std::string(name));
  };
  for (const Attribute& attribute : kAttributes) {
    add("", attribute.name);
    add("r", attribute.name);
  }
  for (const Propagation& propagation : kPropagations) {
    add("", propagation.name);
    add("r", propagation.name);
  }
  for (const std::string_view name : kNothingToDo) add("", name);
  for (const std::string_view name : kSuperblock) add("", name);
  for (const std::string_view name : kOthers) add("", name);
  return names;
}

}  // namespace moss::runtime
