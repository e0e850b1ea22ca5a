// moss mount. See the header.
#include "moss/engine/mounts.hh"

#include <fcntl.h>
#include <linux/magic.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

#include "moss/sys/file.hh"
#include "moss/sys/host.hh"
#include "src/engine/containers/container_layers.hh"
#include "src/engine/containers/running_root.hh"
#include "src/engine/containers/work_inside.hh"

namespace moss::engine {

namespace {

// Says what the kernel has to say about a file system's context.
Error mount_error(int context, const std::string& target) {
  const int code = errno;
  char text[512];
  const ssize_t length = ::read(context, text, sizeof text);
  return Error(code, "mount ", target,
               length > 0 ? ": " + printable(trim(std::string_view(text, static_cast<size_t>(length)))) : "");
}

struct Overlay {
  std::string upper;  // empty: read-only
  std::string work;
  std::vector<std::string> lower;
};

Result<Ok> attach(const Fd& mount, const std::string& target) {
  if (::move_mount(mount.get(), "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    return sys_error("mount ", target);
  }
  return Ok{};
}

// The new mount API: lower folders one by one, so that there may be hundreds. (The kernels before 6.5 take them as one
// text, which the API cuts off at 256 bytes: for those there is mount(2).)
Result<Ok> mount_overlay(const Overlay& overlay, const std::string& target) {
  const Fd context(::fsopen("overlay", FSOPEN_CLOEXEC));
  if (!context) return sys_error("mount ", target);
  const auto set = [&](const char* key, const std::string& value) {
    return ::fsconfig(context.get(), FSCONFIG_SET_STRING, key, value.c_str(), 0) == 0;
  };
  bool one_by_one = true;
  for (const std::string& folder : overlay.lower) {
    if (set("lowerdir+", folder)) continue;
    if (errno != EINVAL || &folder != overlay.lower.data()) return mount_error(context.get(), target);
    one_by_one = false;
    break;
  }
  if (!one_by_one) {
    std::string data = cat("userxattr,lowerdir=", join(overlay.lower, ":"));
    if (!overlay.upper.empty()) data += cat(",upperdir=", overlay.upper, ",workdir=", overlay.work);
    if (::mount("overlay", target.c_str(), "overlay", overlay.upper.empty() ? MS_RDONLY : 0, data.c_str()) != 0) {
      return sys_error("mount ", target);
    }
    return Ok{};
  }
  if (!overlay.upper.empty() && (!set("upperdir", overlay.upper) || !set("workdir", overlay.work))) {
    return mount_error(context.get(), target);
  }
  if (::fsconfig(context.get(), FSCONFIG_SET_FLAG, "userxattr", nullptr, 0) != 0 ||
      ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    return mount_error(context.get(), target);
  }
  const unsigned attributes = overlay.upper.empty() ? MOUNT_ATTR_RDONLY : 0;
  const Fd mount(::fsmount(context.get(), FSMOUNT_CLOEXEC, attributes));
  if (!mount) return mount_error(context.get(), target);
  return attach(mount, target);
}

// The mount that the container has.
Result<Ok> mount_running(const std::string& folder, const Container& container, const std::string& target) {
  const sys::Host host = TRY(sys::probe_host());
  const Fd root = TRY(host.is_real_root() ? clone_running_root(container)
                                          : ask_for_running_root(folder.substr(0, folder.rfind('/')), container));
  struct statfs status;
  if (::fstatfs(root.get(), &status) != 0) return sys_error("look at its root");
  // A privileged one may have covered it with a file system of its own, whose answers would be anything.
  if (status.f_type != OVERLAYFS_SUPER_MAGIC) return Error(0, "it has mounted something else over its root");
  return attach(root, target);
}

// `path/..` of a mount point is its parent on the file system below, so the two differ only where something is mounted.
bool is_mount_point(const std::string& path) {
  struct stat here;
  struct stat above;
  return ::lstat(path.c_str(), &here) == 0 && ::lstat((path + "/..").c_str(), &above) == 0 &&
         here.st_dev != above.st_dev;
}

Result<std::string> mount_at(const std::string& folder, const std::string& id,
                             const std::function<Result<Ok>(const std::string& target)>& mount) {
  std::string target = cat(folder, "/", id);
  if (is_mount_point(target)) return target;
  TRY(sys::make_dirs(target, 0700));
  if (Result<Ok> mounted = mount(target); !mounted.ok()) {
    ::rmdir(target.c_str());
    return std::move(mounted).error();
  }
  return target;
}

}  // namespace

Result<std::string> mounts_folder(const Paths& paths, const std::string& verb) {
  const char* told = ::getenv(kMountsVariable);
  const sys::Host host = TRY(sys::probe_host());
  if (!host.initial_user_namespace && told != nullptr && told[0] == '/') {
    if (::access(told, F_OK) != 0 && errno == ENOENT) return unshare_has_ended();
    return std::string(told);
  }
  if (host.is_real_root()) return paths.run + "/mounts";
  return Error(0, "moss ", verb, " works only inside your user namespace; run \"moss unshare\", and moss ", verb,
               " there");
}

Result<std::string> mount_container(const std::string& folder, const Container& container) {
  const ContainerLayers layers = TRY(container_layers(container));
  if (!layers.is_overlay) return layers.lower.front();
  if (container.state.status == Status::running) {
    return mount_at(folder, container.record.id,
                    [&](const std::string& target) { return mount_running(folder, container, target); })
        .context("mount ", container.record.name);
  }
  Overlay overlay{.upper = layers.upper, .work = "", .lower = layers.lower};
  if (!layers.upper.empty()) {
    overlay.work = layers.upper.substr(0, layers.upper.rfind('/')) + "/work";
    TRY(sys::make_dirs(overlay.work, 0700));
  }
  return mount_at(folder, container.record.id,
                  [&](const std::string& target) { return mount_overlay(overlay, target); })
      .context("mount ", container.record.name);
}

Result<std::string> mount_image(const std::string& folder, ImageStore& store, const Image& image) {
  const sys::Host host = TRY(sys::probe_host());
  IdMap map;
  if (host.is_real_root()) {
    map = TRY(default_id_map(host)).map;
  } else {
    map.uids = TRY(own_ranges("/proc/self/uid_map"));
    map.gids = TRY(own_ranges("/proc/self/gid_map"));
  }
  Overlay overlay{.upper = "", .work = "", .lower = TRY(store.prepare_layers(image, map))};
  // A read-only overlay has two layers at least.
  if (overlay.lower.size() == 1) {
    const std::string empty = folder + "/.empty";
    TRY(sys::make_dirs(empty, 0755));
    overlay.lower.push_back(empty);
  }
  return mount_at(folder, image.id, [&](const std::string& target) { return mount_overlay(overlay, target); })
      .context("mount image ", image.id.substr(0, 12));
}

Result<std::vector<std::string>> mounted_in(const std::string& folder) {
  std::vector<std::string> ids;
  if (!sys::exists(folder)) return ids;
  const std::vector<std::string> names = TRY(sys::list_dir(folder));
  for (const std::string& name : names) {
    if (is_mount_point(cat(folder, "/", name))) ids.push_back(name);
  }
  return ids;
}

Result<bool> unmount_from(const std::string& folder, const std::string& id, bool force) {
  const std::string target = cat(folder, "/", id);
  if (!is_mount_point(target)) return false;
  if (::umount2(target.c_str(), UMOUNT_NOFOLLOW | (force ? MNT_DETACH : 0)) != 0) return sys_error("unmount ", target);
  if (::rmdir(target.c_str()) != 0) return sys_error("remove ", target);
  return true;
}

void unmount_removed(const Paths& paths, const std::string& id) {
  const auto end = [&](const std::string& folder) {
    const std::string target = cat(folder, "/containers/", id);
    (void)::umount2(target.c_str(), UMOUNT_NOFOLLOW | MNT_DETACH);
    ::rmdir(target.c_str());
  };
  end(paths.run + "/mounts");
  const char* told = ::getenv(kMountsVariable);
  if (told != nullptr && told[0] == '/') end(told);
}

}  // namespace moss::engine
