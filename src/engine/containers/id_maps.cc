// Which ids a container gets.
//
// Root inside is the caller outside and 1… are the caller's subordinate ids. Real root is never mapped to root inside
// unless --userns=host says so: a file of host root's must stay out of reach also under sudo.
#include <grp.h>
#include <unistd.h>

#include <algorithm>

#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "src/engine/containers/bundle.hh"
#include "src/engine/containers/work_inside.hh"

namespace moss::engine {

namespace {

// Where root has no subordinate ids: high up, where no user lives and no tool grants from by itself.
constexpr IdRange kHighRange{.outside = 0x70000000, .count = 65536};

// /proc/self/uid_map of the namespace the machine booted with.
bool in_initial_user_namespace() {
  const Result<std::string> text = sys::read_kernel_file("/proc/self/uid_map");
  if (!text.ok()) return true;
  std::vector<std::string_view> numbers;
  for (const std::string_view part : split(trim(*text), ' ')) {
    if (!part.empty()) numbers.push_back(part);
  }
  return numbers.size() == 3 && numbers[0] == "0" && numbers[1] == "0" && numbers[2] == "4294967295";
}

// Every id that exists in this (nested) user namespace, mapped to itself.
std::vector<IdRange> to_themselves(const char* file) {
  Result<std::vector<IdRange>> own = own_ranges(file);
  if (!own.ok()) return {};
  for (IdRange& range : *own) range.outside = range.inside;
  return std::move(own).value();
}

// The caller's name without waking NSS: /etc/passwd answers for nearly everybody.
std::string caller_name(uid_t uid) {
  const Result<std::string> text = sys::read_file("/etc/passwd", 16u << 20);
  if (text.ok()) {
    const std::string number = std::to_string(uid);
    for (const std::string_view line : split(*text, '\n')) {
      const std::vector<std::string_view> fields = split(line, ':');
      if (fields.size() > 3 && fields[2] == number) return std::string(fields[0]);
    }
  }
  return sys::user_name(uid);
}

std::vector<IdRange> from_zero(const std::vector<IdRange>& grants) {
  std::vector<IdRange> ranges;
  uint32_t inside = 0;
  for (const IdRange& grant : grants) {
    ranges.push_back({inside, grant.outside, grant.count});
    inside += grant.count;
  }
  return ranges;
}

Result<DefaultIdMap> map_for_root() {
  if (!in_initial_user_namespace()) {
    // Root of a namespace that somebody else made, as inside another container: not the host's root.
    return DefaultIdMap{{to_themselves("/proc/self/uid_map"), to_themselves("/proc/self/gid_map")}, ""};
  }
  for (const char* name : {"root", "containers"}) {
    const sys::SubordinateIds ids = TRY(sys::read_subordinate_ids(name, 0));
    if (!ids.empty()) return DefaultIdMap{{from_zero(ids.uids), from_zero(ids.gids)}, ""};
  }
  return DefaultIdMap{{from_zero({kHighRange}), from_zero({kHighRange})}, ""};
}

}  // namespace

Result<DefaultIdMap> default_id_map(const sys::Host& host) {
  if (host.uid == 0) return map_for_root();
  const std::string name = caller_name(host.uid);
  const sys::SubordinateIds ids = TRY(sys::read_subordinate_ids(name, host.uid));
  if (ids.empty()) {
    return DefaultIdMap{
        {sys::id_ranges(host.uid, {}), sys::id_ranges(host.gid, {})},
        cat("no subordinate ids for ", name, ": one id only, so the container knows no user but root; add \"", name,
            ":100000:65536\" to /etc/subuid and /etc/subgid for more")};
  }
  if (!sys::find_program("newuidmap") || !sys::find_program("newgidmap")) {
    return DefaultIdMap{{sys::id_ranges(host.uid, {}), sys::id_ranges(host.gid, {})},
                        "newuidmap is not installed: one id only, so the container knows no user but root; "
                        "install it for more (Debian: apt install uidmap)"};
  }
  return DefaultIdMap{{sys::id_ranges(host.uid, ids.uids), sys::id_ranges(host.gid, ids.gids)}, ""};
}

namespace {

// keep-id: the caller's id is the same inside, subordinate ids fill everything around it.
std::vector<IdRange> keep_id_ranges(uint32_t id, uint32_t inside, const std::vector<IdRange>& grants) {
  std::vector<IdRange> ranges;
  uint32_t next = 0;
  for (IdRange grant : grants) {
    while (grant.count > 0) {
      if (next == inside) ++next;  // the caller's place
      const uint32_t room = next < inside ? inside - next : UINT32_MAX - next;
      const uint32_t count = std::min(grant.count, room);
      ranges.push_back({next, grant.outside, count});
      next += count;
      grant.outside += count;
      grant.count -= count;
    }
  }
  ranges.push_back({inside, id, 1});
  std::sort(ranges.begin(), ranges.end(), [](const IdRange& a, const IdRange& b) { return a.inside < b.inside; });
  return ranges;
}

// "0:100000:65536", once or more often.
Result<std::vector<IdRange>> parse_maps(const char* option, const std::vector<std::string>& texts) {
  std::vector<IdRange> ranges;
  for (const std::string& text : texts) {
    for (const std::string_view one : split(text, ',')) {
      const std::vector<std::string_view> parts = split(one, ':');
      std::optional<uint32_t> inside;
      std::optional<uint32_t> outside;
      std::optional<uint32_t> count = 1;
      if (parts.size() == 2 || parts.size() == 3) {
        inside = parse_number<uint32_t>(parts[0]);
        outside = parse_number<uint32_t>(parts[1]);
        if (parts.size() == 3) count = parse_number<uint32_t>(parts[2]);
      }
      if (!inside || !outside || !count || *count == 0) {
        return Error(0, option, " ", printable(one), ": expected CONTAINER-ID:HOST-ID:COUNT");
      }
      ranges.push_back({*inside, *outside, *count});
    }
  }
  return ranges;
}

// Podman's rootless --uidmap counts in the default map's ids: 0 is the caller, 1… the subordinate ids.
Result<std::vector<IdRange>> through_default(const char* option, const std::vector<IdRange>& asked,
                                             const std::vector<IdRange>& available) {
  std::vector<IdRange> ranges;
  for (IdRange wanted : asked) {
    while (wanted.count > 0) {
      const auto holder = std::find_if(available.begin(), available.end(), [&](const IdRange& range) {
        return wanted.outside >= range.inside && wanted.outside - range.inside < range.count;
      });
      if (holder == available.end()) {
        return Error(0, option, ": id ", wanted.outside,
                     " is not among yours (0 is you, 1 and up are your subordinate ids: ", to_string(available), ")");
      }
      const uint32_t offset = wanted.outside - holder->inside;
      const uint32_t count = std::min(wanted.count, holder->count - offset);
      ranges.push_back({wanted.inside, holder->outside + offset, count});
      wanted.inside += count;
      wanted.outside += count;
      wanted.count -= count;
    }
  }
  return ranges;
}

Result<Ok> check_holds_caller(const char* option, const std::vector<IdRange>& ranges, uint32_t caller) {
  for (const IdRange& range : ranges) {
    if (caller >= range.outside && caller - range.outside < range.count) return Ok{};
  }
  return Error(0, option, ": your own id (0 in the middle) must be among those mapped; add ", option, " ",
               ranges.empty() ? 0 : ranges.back().inside + ranges.back().count, ":0:1");
}

}  // namespace

IdMap every_id() { return {to_themselves("/proc/self/uid_map"), to_themselves("/proc/self/gid_map")}; }

Result<ChosenMap> choose_id_map(const RunOptions& options, const sys::Host& host) {
  const std::string& userns = options.userns;
  if (!options.uidmap.empty() || !options.gidmap.empty()) {
    if (!userns.empty()) return Error(0, "--userns ", userns, " and --uidmap or --gidmap exclude each other");
    const std::vector<IdRange> uids = TRY(parse_maps("--uidmap", options.uidmap));
    const std::vector<IdRange> gids = TRY(parse_maps("--gidmap", options.gidmap));
    const DefaultIdMap available = TRY(default_id_map(host));
    // One of them alone serves for both, as in Podman.
    const std::vector<IdRange>& u = uids.empty() ? gids : uids;
    const std::vector<IdRange>& g = gids.empty() ? uids : gids;
    if (host.uid == 0) return ChosenMap{.map = IdMap{u, g}};
    IdMap map{TRY(through_default("--uidmap", u, available.map.uids)),
              TRY(through_default("--gidmap", g, available.map.gids))};
    // The image's files and the writable layer lie in folders of the caller's, who must be somebody inside to use them.
    TRY(check_holds_caller("--uidmap", map.uids, host.uid));
    TRY(check_holds_caller("--gidmap", map.gids, host.gid));
    return ChosenMap{.map = std::move(map)};
  }
  if (userns.empty() || userns == "private" || (userns == "host" && host.uid != 0)) {
    DefaultIdMap map = TRY(default_id_map(host));
    return ChosenMap{.map = std::move(map.map), .notice = std::move(map.why_single)};
  }
  if (userns == "host") return ChosenMap{};
  if (userns == "keep-id" || userns.starts_with("keep-id:")) {
    if (host.uid == 0) return Error(0, "--userns keep-id: root has no id to keep; run as an ordinary user");
    uint32_t uid = host.uid;
    uint32_t gid = host.gid;
    if (userns.size() > 8) {
      for (const std::string_view part : split(std::string_view(userns).substr(8), ',')) {
        const auto [key, value] = cut(part, '=');
        const auto number = parse_number<uint32_t>(value.value_or(""));
        if (!number || *number > INT32_MAX || (key != "uid" && key != "gid")) {
          return Error(0, "--userns ", printable(userns), ": expected keep-id:uid=N,gid=N");
        }
        (key == "uid" ? uid : gid) = *number;
      }
    }
    const std::string name = caller_name(host.uid);
    const sys::SubordinateIds ids = TRY(sys::read_subordinate_ids(name, host.uid));
    ChosenMap chosen{.keeps_id = true};
    if (ids.empty() || !sys::find_program("newuidmap") || !sys::find_program("newgidmap")) {
      chosen.map = IdMap{{{uid, host.uid, 1}}, {{gid, host.gid, 1}}};
      chosen.notice = TRY(default_id_map(host)).why_single;
      return chosen;
    }
    chosen.map = IdMap{keep_id_ranges(host.uid, uid, ids.uids), keep_id_ranges(host.gid, gid, ids.gids)};
    return chosen;
  }
  return Error(0, "--userns ", printable(userns),
               " is not supported; use host, private, keep-id or keep-id:uid=N,gid=N");
}

Result<std::vector<std::string>> check_remaining_groups(const IdMap& map, bool allow_groups) {
  if (!map.is_single()) return std::vector<std::string>{};
  const int count = ::getgroups(0, nullptr);
  std::vector<gid_t> groups(count > 0 ? static_cast<size_t>(count) : 0);
  if (count < 0 || ::getgroups(count, groups.data()) != count) return sys_error("ask for our groups");
  std::vector<std::string> remaining;
  for (const gid_t gid : groups) {
    if (gid == ::getegid()) continue;
    const group* entry = ::getgrgid(gid);
    remaining.push_back(entry != nullptr ? entry->gr_name : std::to_string(gid));
  }
  static constexpr std::string_view kDangerous[] = {"shadow", "disk", "docker", "sudo", "wheel", "adm", "kmem"};
  for (const std::string& name : remaining) {
    if (allow_groups || std::find(std::begin(kDangerous), std::end(kDangerous), name) == std::end(kDangerous)) continue;
    return Error(
        0, "with one id mapped your groups cannot be dropped, and group ", name,
        " opens files of the host to the container; get subordinate ids (/etc/subuid, /etc/subgid) or allow it "
        "with --allow-groups");
  }
  return remaining;
}

}  // namespace moss::engine
