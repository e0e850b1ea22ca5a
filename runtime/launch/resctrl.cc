// Groups of resctrl are folders: made with mkdir, told with write, removed with rmdir.
#include "moss/runtime/resctrl.hh"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <map>

#include "moss/sys/file.hh"

namespace moss::runtime {

namespace {

// The lines to be written: those of the older properties come first, as runtime-spec says.
std::vector<std::string> schemata_of(const oci::IntelRdt& rdt) {
  std::vector<std::string> lines;
  for (const std::string* text : {&rdt.l3_cache_schema, &rdt.mem_bw_schema}) {
    for (const std::string_view line : split(*text, '\n')) {
      if (!trim(line).empty()) lines.emplace_back(trim(line));
    }
  }
  lines.insert(lines.end(), rdt.schemata.begin(), rdt.schemata.end());
  return lines;
}

// "L3:0=ffff0;1=3ff": what each domain is given, by "L3:0". The last word on one counts.
std::map<std::string, std::string> domains_of(const std::vector<std::string>& lines) {
  std::map<std::string, std::string> domains;
  for (const std::string& line : lines) {
    const auto [resource, values] = cut(line, ':');
    for (const std::string_view one : split(values.value_or(""), ';')) {
      const auto [domain, value] = cut(one, '=');
      const std::string_view digits = trim(value.value_or(""));
      const size_t first = digits.find_first_not_of('0');
      domains[cat(trim(resource), ':', trim(domain))] = first == std::string_view::npos ? "" : digits.substr(first);
    }
  }
  return domains;
}

Result<Ok> write_file(const std::string& path, const std::string& text) {
  const Fd file = TRY(sys::open_at(AT_FDCWD, path, O_WRONLY | O_NOFOLLOW));
  return sys::write_all(file.get(), text, path);
}

Result<Ok> write_schemata(const std::string& root, const std::string& folder, const std::vector<std::string>& lines) {
  for (const std::string& line : lines) {
    const Result<Ok> written = write_file(folder + "/schemata", line + "\n");
    if (written.ok()) continue;
    const Result<std::string> why = sys::read_kernel_file(root + "/info/last_cmd_status");
    return Error(written.error().code(), "linux.intelRdt: write ", printable(line), " to ", folder, "/schemata",
                 why.ok() ? cat(" (", printable(trim(*why)), ")") : "");
  }
  return Ok{};
}

Result<Ok> expect_schemata(const std::string& folder, const std::vector<std::string>& lines) {
  const std::string text = TRY(sys::read_kernel_file(folder + "/schemata"));
  std::vector<std::string> there;
  for (const std::string_view line : split(text, '\n')) {
    if (!trim(line).empty()) there.emplace_back(trim(line));
  }
  const std::map<std::string, std::string> has = domains_of(there);
  for (const auto& [domain, value] : domains_of(lines)) {
    const auto found = has.find(domain);
    if (found == has.end() || found->second != value) {
      return Error(0, "linux.intelRdt: ", folder, " is there already, with other schemata (", printable(domain), ")");
    }
  }
  return Ok{};
}

Result<bool> make_group(const std::string& folder) {
  if (::mkdir(folder.c_str(), 0755) == 0) return true;
  if (errno != EEXIST) return sys_error("linux.intelRdt: make ", folder);
  return false;
}

bool is_name(std::string_view name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string_view::npos &&
         printable(name) == name;
}

// "/" is the group that everything is in from the start.
std::string folder_of(const oci::IntelRdt& rdt, const std::string& id, const std::string& root) {
  return rdt.clos_id == "/" ? root : cat(root, '/', rdt.clos_id.empty() ? id : rdt.clos_id);
}

Result<Ok> fill_groups(ResctrlGroups& groups, const oci::IntelRdt& rdt, const std::string& id,
                       const std::string& root) {
  const std::vector<std::string> lines = schemata_of(rdt);
  const std::string folder = folder_of(rdt, id, root);
  if (!rdt.clos_id.empty() && lines.empty()) {
    if (!sys::exists(folder + "/tasks")) return Error(0, "linux.intelRdt.closID: there is no group ", folder);
  } else if (rdt.clos_id == "/" || !TRY(make_group(folder))) {
    TRY(expect_schemata(folder, lines));
  } else {
    // A group with a name of its own may be shared: it outlives the container.
    if (rdt.clos_id.empty()) groups.made.push_back(folder);
    const Result<Ok> written = write_schemata(root, folder, lines);
    if (!written.ok()) {
      ::rmdir(folder.c_str());
      return written.error();
    }
  }
  groups.folders.push_back(folder);
  if (rdt.enable_monitoring) {
    const std::string measured = cat(folder, "/mon_groups/", id);
    if (!TRY(make_group(measured))) return Error(EEXIST, "linux.intelRdt: make ", measured);
    groups.folders.push_back(measured);
    groups.made.insert(groups.made.begin(), measured);
  }
  return Ok{};
}

}  // namespace

std::vector<std::string> check_resctrl(const oci::IntelRdt& rdt) {
  std::vector<std::string> complaints;
  if (!rdt.clos_id.empty() && rdt.clos_id != "/" && !is_name(rdt.clos_id)) {
    complaints.push_back(cat("linux.intelRdt.closID: no name of a folder: ", printable(rdt.clos_id)));
  }
  for (size_t i = 0; i < rdt.schemata.size(); ++i) {
    if (printable(rdt.schemata[i]) != rdt.schemata[i] || rdt.schemata[i].find(':') == std::string::npos) {
      complaints.push_back(
          cat("linux.intelRdt.schemata[", i, "]: no line such as L3:0=ff: ", printable(rdt.schemata[i])));
    }
  }
  return complaints;
}

Result<ResctrlGroups> make_resctrl_groups(const oci::IntelRdt& rdt, const std::string& id, const std::string& root) {
  if (!sys::exists(root + "/schemata")) {
    return Error(0, "linux.intelRdt: resctrl is not mounted at ", root,
                 "; where the processor has it: mount -t resctrl resctrl ", root);
  }
  if (!is_name(id)) return Error(0, "linux.intelRdt: ", printable(id), " cannot name a group");
  ResctrlGroups groups;
  const Result<Ok> filled = fill_groups(groups, rdt, id, root);
  if (filled.ok()) return groups;
  (void)remove_resctrl_groups(groups);
  return filled.error();
}

Result<Ok> update_resctrl_group(const std::optional<oci::IntelRdt>& config, const std::string& id,
                                const oci::IntelRdt& update, const std::string& root) {
  if (!config) return Error(0, "linux.intelRdt: the container was created without it");
  return write_schemata(root, folder_of(*config, id, root), schemata_of(update));
}

Result<Ok> enter_resctrl_groups(const ResctrlGroups& groups, pid_t pid) {
  for (const std::string& folder : groups.folders) {
    TRY(write_file(folder + "/tasks", std::to_string(pid)).context("linux.intelRdt"));
  }
  return Ok{};
}

Result<Ok> remove_resctrl_groups(const ResctrlGroups& groups) {
  for (const std::string& folder : groups.made) {
    if (::rmdir(folder.c_str()) != 0 && errno != ENOENT) return sys_error("linux.intelRdt: remove ", folder);
  }
  return Ok{};
}

}  // namespace moss::runtime
