// Where a container's cgroup goes and what it is told. Pure: reads only its arguments.
//
// Three answers are possible: folders that moss makes, a scope that systemd makes, or none. None is the right answer
// where nothing is delegated and nothing was asked for; it is an error where a limit was, for a limit that nobody keeps
// must not look kept.
// Spec: config-linux.md "Control groups", "Cgroup ownership".
#include <algorithm>

#include "runtime/cgroup/folders.hh"
#include "runtime/cgroup/unit.hh"
#include "runtime/cgroup/writes.hh"

namespace moss::runtime {

namespace {

using sys::CgroupMode;

constexpr std::string_view kDelegate =
    "run moss in a delegated unit (systemd-run --user --scope -p Delegate=yes moss …), or let systemd make a scope "
    "(--systemd-cgroup)";

Error refuse(const std::vector<std::string>& limits, std::string_view why) {
  return Error(0, "linux.resources: cannot keep ", join(limits, ", "), ": ", why);
}

bool contains(const std::vector<std::string>& list, std::string_view name) {
  return std::find(list.begin(), list.end(), name) != list.end();
}

class Planner {
 public:
  Planner(const oci::Config& config, const CgroupHost& host, const CgroupOptions& options)
      : config_(config), host_(host), options_(options) {
    if (config.linux.resources) resources_ = &*config.linux.resources;
    limits_ = asked_limits(*resources_);
    plan_.record.rootless = host.ordinary || options.rootless;
  }

  Result<CgroupPlan> finish() {
    switch (options_.manager) {
      case CgroupManager::disabled:
        TRY(none("cgroups are switched off (--cgroup-manager=disabled)"));
        break;
      case CgroupManager::systemd:
        TRY(plan_scope());
        break;
      case CgroupManager::cgroupfs:
        TRY(host_.mode == CgroupMode::v2 ? plan_v2() : plan_v1());
        break;
    }
    return std::move(plan_);
  }

 private:
  // The container does without a cgroup, if it can.
  Result<Ok> none(std::string_view why) {
    if (!limits_.empty()) return refuse(limits_, why);
    return Ok{};
  }

  // What v1 and the path say, below a tree's own mount. `relative_to` is where a path without a slash in front begins.
  Result<std::string> cgroup_below(const std::string& relative_to) const {
    const std::string& path = config_.linux.cgroups_path;
    const std::string clean = TRY(clean_cgroup_path(path.empty() ? options_.id : path));
    if (clean == "/") return Error(0, "linux.cgroupsPath: the root of all cgroups is not for a container");
    return path.starts_with('/') ? clean : below(relative_to, clean);
  }

  Result<Ok> plan_v2() {
    const CgroupTree& tree = *host_.v2;
    // The caller's own cgroup has the caller in it, so it cannot hand controllers to cgroups below; its parent can.
    const std::string parent = parent_of(tree.own);
    const bool reaches_parent = tree.delegated && is_within(parent, *tree.delegated);
    const std::string cgroup = TRY(cgroup_below(reaches_parent ? parent : tree.own));
    if (!tree.delegated)
      return none(cat("no cgroup is delegated to the caller, who is in ", tree.own, "; ", kDelegate));
    if (!is_within(parent_of(cgroup), *tree.delegated)) {
      return none(cat("of all cgroups only ", *tree.delegated, " is delegated to the caller, and linux.cgroupsPath is ",
                      cgroup, "; ", kDelegate));
    }
    const std::string folder = below(tree.mount, cgroup);
    plan_.record.folders[""] = folder;
    plan_.record.made = {folder};
    plan_.mounts[""] = tree.mount;
    // A cgroup that may hold no process at all takes one only from outside.
    plan_.clone_into = host_.clone_into && !(resources_->pids && resources_->pids->limit == 0);
    plan_.enable_from = below(tree.mount, *tree.delegated);
    plan_.controllers = tree.controllers;
    TRY(plan_v2_writes());
    for (const CgroupWrite& write : plan_.writes) {
      if (write.controller.empty() || contains(tree.controllers, write.controller)) continue;
      return refuse({write.limit}, missing_controller(write.controller));
    }
    plan_owner();
    return Ok{};
  }

  std::string missing_controller(const std::string& controller) const {
    std::string why = cat("the controller ", controller, " is not among those that ", *host_.v2->delegated,
                          " may hand down (", join(host_.v2->controllers, " "), ")");
    if (host_.ordinary) {
      why += cat("; an administrator can add it with Delegate=", controller,
                 " in /etc/systemd/system/user@.service.d/delegate.conf");
    }
    return why;
  }

  Result<Ok> plan_v2_writes() {
    plan_.writes = TRY(cgroup_writes_v2(*resources_).context("linux.resources"));
    plan_.device_filter = TRY(device_filter(resources_->devices).context("linux.resources"));
    return Ok{};
  }

  Result<Ok> plan_v1() {
    const std::string_view reason =
        host_.mode == CgroupMode::none && !host_.ordinary
            ? "no cgroups are mounted at /sys/fs/cgroup"
            : "this host's controllers are those of cgroup v1, which are root's; boot it with "
              "systemd.unified_cgroup_hierarchy=1, or leave the limit out";
    std::vector<const CgroupTree*> trees;
    for (const CgroupTree& tree : host_.v1) trees.push_back(&tree);
    // On a hybrid host the v2 tree has no controllers, but a cgroup there can be killed and frozen as a whole.
    if (host_.v2) trees.push_back(&*host_.v2);
    for (const CgroupTree* tree : trees) {
      const std::string cgroup = TRY(cgroup_below(tree->own));
      if (!tree->delegated || !is_within(parent_of(cgroup), *tree->delegated)) continue;
      const std::string folder = below(tree->mount, cgroup);
      plan_.record.folders[tree->key] = folder;
      plan_.record.made.push_back(folder);
      plan_.mounts[tree->key] = tree->mount;
    }
    if (plan_.record.folders.empty()) return none(reason);
    plan_.writes = TRY(cgroup_writes_v1(*resources_).context("linux.resources"));
    return check_v1_trees();
  }

  // Every limit needs its controller's tree. Device rules are left out where the caller may not give any.
  Result<Ok> check_v1_trees() {
    if (plan_.record.rootless) {
      std::erase_if(plan_.writes, [](const CgroupWrite& write) { return write.limit == "devices"; });
    }
    for (const CgroupWrite& write : plan_.writes) {
      if (has_v1_folder(write.controller) || write.optional) continue;
      return refuse({write.limit}, cat("the controller ", write.controller,
                                       " of cgroup v1 is not mounted, or not "
                                       "writable for the caller"));
    }
    return Ok{};
  }

  bool has_v1_folder(std::string_view controller) const {
    return std::any_of(plan_.record.folders.begin(), plan_.record.folders.end(), [&](const auto& folder) {
      const std::vector<std::string_view> names = split(folder.first, ',');
      return std::find(names.begin(), names.end(), controller) != names.end();
    });
  }

  Result<Ok> plan_scope() {
    if (host_.mode != CgroupMode::v2 && host_.ordinary) {
      return none(
          "systemd hands an ordinary user no controllers of cgroup v1; boot with "
          "systemd.unified_cgroup_hierarchy=1, or leave the limit out");
    }
    if (!host_.systemd)
      return Error(0, "systemd does not run here (no /run/systemd/system); use --cgroup-manager=cgroupfs");
    if (host_.mode == CgroupMode::v2) {
      TRY(plan_v2_writes());
    } else {
      plan_.writes = TRY(cgroup_writes_v1(*resources_).context("linux.resources"));
    }
    const ScopeName name = TRY(scope_name(config_.linux.cgroups_path, options_.id, host_.ordinary));
    for (const CgroupTree& tree : host_.v1) plan_.mounts[tree.key] = tree.mount;
    if (host_.v2) plan_.mounts[""] = host_.v2->mount;
    plan_.slice = name.slice;
    plan_.record.unit = name.unit;
    plan_.record.user_bus = host_.ordinary;
    plan_.description = cat("moss container ", options_.id);
    plan_.properties = TRY(scope_properties(*resources_, host_.mode == CgroupMode::v2).context("linux.resources"));
    TRY(add_annotated_properties(plan_.properties, config_.annotations));
    const auto subgroup = config_.annotations.find("run.oci.systemd.subgroup");
    if (subgroup != config_.annotations.end()) {
      const std::string clean = TRY(clean_cgroup_path(subgroup->second).context("annotation run.oci.systemd.subgroup"));
      plan_.subgroup = clean.substr(1);
    }
    plan_owner();
    return Ok{};
  }

  // Root inside may arrange its own cgroup where it was given a writable view of nothing but that.
  void plan_owner() {
    const auto& namespaces = config_.linux.namespaces;
    const bool own_users =
        std::any_of(namespaces.begin(), namespaces.end(), [](const auto& n) { return n.type == "user"; });
    const bool own_cgroups = std::any_of(namespaces.begin(), namespaces.end(),
                                         [](const auto& n) { return n.type == "cgroup" && n.path.empty(); });
    const bool writable = std::any_of(config_.mounts.begin(), config_.mounts.end(), [](const oci::Mount& mount) {
      return (mount.type == "cgroup" || mount.type == "cgroup2") && !contains(mount.options, "ro");
    });
    if (host_.mode != CgroupMode::v2 || !own_users || !own_cgroups || !writable) return;
    for (const IdRange& range : options_.uids.empty() ? config_.linux.uid_mappings : options_.uids) {
      if (range.inside == 0) plan_.owner = range.outside;
    }
  }

  const oci::Config& config_;
  const CgroupHost& host_;
  const CgroupOptions& options_;
  const oci::Resources no_resources_;
  const oci::Resources* resources_ = &no_resources_;
  std::vector<std::string> limits_;
  CgroupPlan plan_;
};

}  // namespace

std::optional<CgroupManager> parse_cgroup_manager(std::string_view name) {
  if (name == "cgroupfs") return CgroupManager::cgroupfs;
  if (name == "systemd") return CgroupManager::systemd;
  if (name == "disabled") return CgroupManager::disabled;
  return std::nullopt;
}

Result<CgroupPlan> plan_cgroup(const oci::Config& config, const CgroupHost& host, const CgroupOptions& options) {
  return Planner(config, host, options).finish();
}

}  // namespace moss::runtime
