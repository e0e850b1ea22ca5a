// Mounts whose files look as if other ids owned them.
//
// The mapping is a user namespace's, so one is made for it, by a child that ends once we hold the namespace. The mount
// is ours to make: the kernel asks for CAP_SYS_ADMIN in the user namespace that the filesystem was mounted in, and the
// container's first process has none there. See mount_setattr(2), "ID-mapped mounts".
#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "runtime/launch/inherited.hh"
#include "runtime/launch/mounting.hh"

namespace moss::runtime {

namespace {

Result<Fd> user_namespace_with(const IdMap& map) {
  sys::Child holder = TRY(sys::start_in_user_namespace(map, [] { return ::pause(); }));
  return sys::open_at(AT_FDCWD, cat("/proc/", holder.pid(), "/ns/user"), O_RDONLY);
}

Result<Fd> make_one(const IdmappedBind& one) {
  const Fd names = TRY(user_namespace_with(one.map));
  Fd mount(prepare_bind(one.bind));
  if (!mount) return sys_error("copy the mount of ", printable(one.bind.source));
  const mount_attr attributes{.attr_set = MOUNT_ATTR_IDMAP, .userns_fd = static_cast<uint64_t>(names.get())};
  if (set_attributes(mount.get(), one.recursive, attributes) != 0) {
    return sys_error("map the ids of ", printable(one.bind.source),
                     errno == EPERM ? " (only who mounted the filesystem may, on most hosts root)" : "");
  }
  return mount;
}

}  // namespace

Result<std::vector<Inherited::Mount>> make_idmapped_mounts(const Plan& plan) {
  std::vector<Inherited::Mount> mounts;
  for (const IdmappedBind& one : plan.idmapped) {
    mounts.push_back({one.bind.slot, TRY(make_one(one).context(one.place))});
  }
  return mounts;
}

}  // namespace moss::runtime
