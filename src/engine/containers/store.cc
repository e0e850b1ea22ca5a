// Container folders.
//
// Crash reasoning: a container exists from the moment its live folder's lock is held. Whoever dies drops the lock, and
// the next command that looks finds a free lock and cleans up under it. A folder is made under its final, random name,
// so two makers never meet; a sweeper that finds a folder whose maker has not locked it yet takes the lock first, and
// the maker then starts over with another id.
//
// It can be seen as long as its record is there: that comes when all else has been made, and is the first to go. A name
// is a link to an id; only who holds that id's lock takes it away again.
#include "src/engine/containers/store.hh"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "moss/base/time.hh"
#include "moss/sys/child.hh"
#include "moss/sys/ids.hh"
#include "moss/sys/process.hh"
#include "src/engine/containers/names.hh"

namespace moss::engine {

using nlohmann::json;

namespace {

constexpr size_t kMaxRecordBytes = 4u << 20;
constexpr const char* kLockName = "lock";
constexpr size_t kIdDigits = 64;

// Of a container whose record cannot be read: who has its name is written beside it, too.
std::optional<std::string> name_beside(const Paths& paths, const std::string& id) {
  const Result<std::vector<std::string>> names = sys::list_dir(paths.names());
  for (const std::string& name : names.ok() ? *names : std::vector<std::string>()) {
    char owner[128];
    const ssize_t length = ::readlink(cat(paths.names(), "/", name).c_str(), owner, sizeof owner);
    if (length > 0 && std::string_view(owner, static_cast<size_t>(length)) == id) return name;
  }
  return std::nullopt;
}

}  // namespace

const char* to_string(Status status) {
  switch (status) {
    case Status::created:
      return "created";
    case Status::running:
      return "running";
    case Status::exited:
      return "exited";
  }
  return "exited";
}

std::string encode(const ContainerRecord& r) {
  return json{{"id", r.id},
              {"name", r.name},
              {"image", r.image},
              {"imageId", r.image_id},
              {"imageDigest", r.image_digest},
              {"rootfs", r.rootfs},
              {"command", r.command},
              {"entrypointWords", r.entrypoint_words},
              {"user", r.user},
              {"created", r.created},
              {"remove", r.remove},
              {"terminal", r.terminal},
              {"interactive", r.interactive},
              {"privileged", r.privileged},
              {"stopSignal", r.stop_signal},
              {"stopTimeout", r.stop_timeout_s},
              {"init", r.built_in_init},
              {"preserveFds", r.preserve_fds},
              {"network", r.network},
              {"ports", r.ports},
              {"labels", r.labels},
              {"seccompProfile", r.seccomp_profile}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string encode(const ContainerState& s) {
  return json{{"status", to_string(s.status)},
              {"pid", s.pid},
              {"startTicks", s.start_ticks},
              {"bootId", s.boot_id},
              {"monitor", s.monitor_pid},
              {"exitCode", s.exit_code},
              {"started", s.started},
              {"finished", s.finished},
              {"error", s.error}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<ContainerRecord> decode_record(std::string_view text, const std::string& path) {
  try {
    const json j = json::parse(text);
    // Those with a value for absence are younger than the first containers.
    return ContainerRecord{
        .id = j.at("id"),
        .name = j.at("name"),
        .image = j.at("image"),
        .image_id = j.at("imageId"),
        .image_digest = j.value("imageDigest", ""),
        .rootfs = j.at("rootfs"),
        .command = j.at("command"),
        .entrypoint_words = j.value("entrypointWords", size_t{0}),
        .user = j.value("user", ""),
        .created = j.at("created"),
        .remove = j.at("remove"),
        .terminal = j.at("terminal"),
        .interactive = j.value("interactive", false),
        .privileged = j.value("privileged", false),
        .stop_signal = j.at("stopSignal"),
        .stop_timeout_s = j.at("stopTimeout"),
        .built_in_init = j.at("init"),
        .preserve_fds = j.at("preserveFds"),
        .network = j.at("network"),
        .ports = j.at("ports"),
        .labels = j.at("labels"),
        .seccomp_profile = j.at("seccompProfile"),
    };
  } catch (const json::exception& e) {
    return Error(0, "read ", path, ": ", e.what(), "; remove the container with: moss rm -f");
  }
}

Result<ContainerState> decode_state(std::string_view text, const std::string& path) {
  try {
    const json j = json::parse(text);
    const std::string status = j.at("status");
    return ContainerState{
        .status = status == "created"   ? Status::created
                  : status == "running" ? Status::running
                                        : Status::exited,
        .pid = j.at("pid"),
        .start_ticks = j.at("startTicks"),
        .boot_id = j.at("bootId"),
        .monitor_pid = j.at("monitor"),
        .exit_code = j.at("exitCode"),
        .started = j.at("started"),
        .finished = j.at("finished"),
        .error = j.at("error"),
    };
  } catch (const json::exception& e) {
    return Error(0, "read ", path, ": ", e.what(), "; remove the container with: moss rm -f");
  }
}

Result<Fd> open_init(const Container& container) {
  const ContainerState& state = container.state;
  const auto not_running = [&] { return Error(0, "container ", container.record.name, " is not running"); };
  if (state.status != Status::running || state.boot_id != sys::boot_id()) return not_running();
  Result<Fd> pidfd = sys::open_pidfd(static_cast<pid_t>(state.pid));
  // Only now, with the process held, is the look at its start time proof.
  if (!pidfd.ok() || sys::start_time_of(state.pid) != state.start_ticks) return not_running();
  return pidfd;
}

namespace {

Result<bool> sweep_one(const Paths& paths, const std::string& id);

bool is_id(std::string_view text) {
  return text.size() == kIdDigits && text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

Result<Ok> reserve_name(const Paths& paths, const std::string& name, const std::string& id) {
  TRY(sys::make_dirs(paths.names(), 0700));
  const std::string link = paths.names() + "/" + name;
  const ShortWait wait;
  while (::symlink(id.c_str(), link.c_str()) != 0) {
    if (errno != EEXIST) return sys_error("take the name ", name);
    char owner[128];
    const ssize_t length = ::readlink(link.c_str(), owner, sizeof owner);
    if (length < 0 && errno == ENOENT) continue;  // given back just now
    const std::string owner_id(owner, length > 0 ? static_cast<size_t>(length) : 0);
    const auto in_use = [&] {
      return Error(0, "the name ", name, " is in use by container ", owner_id.substr(0, 12),
                   "; remove it with: moss rm ", name, ", or use --replace");
    };
    if (folder_of(paths, owner_id)) return in_use();
    if (!is_id(owner_id)) {
      // No moss wrote that.
      if (::unlink(link.c_str()) != 0 && errno != ENOENT) return sys_error("take the name ", name);
    } else if (wait.is_over()) {
      return in_use();
    } else if (!TRY(sweep_one(paths, owner_id))) {
      // Its owner is being made or removed: soon it can be seen, or its name is free.
      ShortWait::a_little();
    }
  }
  return Ok{};
}

// A folder of ours that is closed to us has one remedy, whatever file in it was the first.
Error keep_elsewhere(Error error, const std::string& folder, std::string_view variable) {
  if (error.code() != EROFS && error.code() != EACCES && error.code() != EPERM) return error;
  return Error(error.code(), "containers are kept in ", folder, ", which cannot be written to; name another folder in ",
               variable);
}

}  // namespace

Result<OwnedContainer> OwnedContainer::create(const Paths& paths, bool remove, const std::string& name, bool replace) {
  while (true) {
    const std::string id = sys::random_hex(kIdDigits / 2);
    const std::string live = paths.live_containers() + "/" + id;
    if (::mkdir(live.c_str(), 0700) != 0) {
      Result<Ok> made = errno == ENOENT ? sys::make_dirs(live, 0700) : Result<Ok>(sys_error("make folder ", live));
      if (!made.ok()) return keep_elsewhere(std::move(made).error(), paths.run, "XDG_RUNTIME_DIR");
    }
    Result<std::optional<sys::FileLock>> lock = sys::FileLock::try_acquire(cat(live, "/", kLockName));
    // A sweeper took it for a dead one's: leave it to them.
    if (!lock.ok() && lock.error().code() == ENOENT) continue;
    if (!lock.ok()) return lock.error();
    if (!*lock) continue;
    OwnedContainer container(paths, id, name.empty() ? generate_name(id) : name, remove, std::move(**lock));
    const auto give_up = [&](Error error) {
      (void)container.remove({});
      return error;
    };
    if (!name.empty()) {
      Result<Ok> reserved = reserve_name(paths, name, id);
      // Others may want the name too, and be quicker.
      for (int tries = 0; !reserved.ok() && replace && tries < 1000; ++tries) {
        Result<std::optional<Container>> old = look_up_container(paths, name);
        if (!old.ok()) return give_up(std::move(old).error());
        if (*old) {
          Result<Ok> removed = remove_container(paths, **old, true, 10);
          if (!removed.ok() && removed.error().code() != ENOENT && removed.error().code() != EAGAIN) {
            return give_up(std::move(removed).error());
          }
        }
        reserved = reserve_name(paths, name, id);
        if (!reserved.ok()) ShortWait::a_little();
      }
      if (!reserved.ok()) return give_up(std::move(reserved).error());
    }
    const std::string lasting = container.lasting();
    if (::mkdir(lasting.c_str(), 0700) != 0) {
      Result<Ok> made =
          errno == ENOENT ? sys::make_dirs(lasting, 0700) : Result<Ok>(sys_error("make folder ", lasting));
      if (!made.ok()) return give_up(keep_elsewhere(std::move(made).error(), paths.data, "XDG_DATA_HOME"));
    }
    return container;
  }
}

Result<std::optional<OwnedContainer>> OwnedContainer::adopt(const Paths& paths, const std::string& id) {
  const std::string live = paths.live_containers() + "/" + id;
  // A lasting container has no live half after a reboot.
  TRY(sys::make_dirs(live, 0700));
  Result<std::optional<sys::FileLock>> taken = sys::FileLock::try_acquire(cat(live, "/", kLockName));
  // Its remover was just done with it.
  if (!taken.ok() && taken.error().code() == ENOENT) return std::optional<OwnedContainer>();
  std::optional<sys::FileLock> lock = TRY(std::move(taken));
  if (!lock) return std::optional<OwnedContainer>();
  const bool remove =
      sys::exists(live + "/container.json") || !sys::exists(paths.lasting_containers() + "/" + id + "/container.json");
  const Result<Container> container = load_container(paths, id);
  const std::string name = container.ok() ? container->record.name : name_beside(paths, id).value_or("");
  return std::optional(OwnedContainer(paths, id, name, remove, std::move(*lock)));
}

Result<Ok> OwnedContainer::write_record(const ContainerRecord& record) {
  return sys::replace_file(folder() + "/container.json", encode(record), 0600);
}

Result<Ok> OwnedContainer::write_state(const ContainerState& state) {
  return sys::replace_file(live() + "/state.json", encode(state), 0600);
}

OwnedContainer OwnedContainer::inherit(const Paths& paths, const ContainerRecord& record, Fd lock) {
  return OwnedContainer(paths, record.id, record.name, record.remove, sys::FileLock(std::move(lock)));
}

Result<Ok> OwnedContainer::announce_end(const ContainerState& state) {
  return sys::write_all(lock_.fd(), encode(state), "the container's lock file");
}

std::optional<ContainerState> OwnedContainer::announced_end() const {
  const Result<std::string> text = sys::read_fd(lock_.fd(), "the container's lock file", kMaxRecordBytes);
  if (!text.ok() || text->empty()) return std::nullopt;
  Result<ContainerState> state = decode_state(*text, "the container's lock file");
  return state.ok() ? std::optional(std::move(state).value()) : std::nullopt;
}

Result<Ok> OwnedContainer::remove_live() {
  const Fd folder = TRY(sys::open_at(AT_FDCWD, live(), O_RDONLY | O_DIRECTORY));
  for (const std::string& name : TRY(sys::list_dir(live()))) {
    if (name != kLockName) TRY(sys::remove_tree_at(folder.get(), name).context("remove ", live()));
  }
  // The lock goes last: from then on the folder may have a new owner, with a new lock.
  if (::unlinkat(folder.get(), kLockName, 0) != 0) return sys_error("remove ", live(), "/", kLockName);
  if (::rmdir(live().c_str()) != 0 && errno != ENOENT && errno != ENOTEMPTY) return sys_error("remove folder ", live());
  return Ok{};
}

void OwnedContainer::clear_overlay_marks() const {
  const std::string incompat = lasting() + "/work/work/incompat";
  // The kernel made these with mode 0.
  for (const std::string& folder : {lasting() + "/work/work", incompat, incompat + "/volatile"}) {
    ::chmod(folder.c_str(), 0700);
  }
  ::unlink((incompat + "/volatile/dirty").c_str());
  ::rmdir((incompat + "/volatile").c_str());
  ::rmdir(incompat.c_str());
}

Result<Ok> OwnedContainer::remove(const IdMap& map) {
  if (::unlink((folder() + "/container.json").c_str()) != 0 && errno != ENOENT) {
    return sys_error("remove ", folder(), "/container.json");
  }
  // What most containers leave is an overlay that nothing was written to: four calls instead of a walk.
  for (const char* name : {"/work/work", "/work", "/upper", ""}) ::rmdir((lasting() + name).c_str());
  Result<Ok> removed = sys::remove_tree(lasting());
  if (!removed.ok() && (removed.error().code() == EACCES || removed.error().code() == EPERM)) {
    // Folders of other owners: only root of the same mapping may empty them.
    const int code = TRY(sys::run_in_user_namespace(map, [&] {
      const Result<Ok> inside = sys::remove_tree(lasting());
      return inside.ok() ? 0 : 1;
    }));
    removed = code == 0 ? Result<Ok>(Ok{}) : Result<Ok>(Error(0, "remove ", lasting(), ": some files resist"));
  }
  TRY(std::move(removed));
  if (!name_.empty()) {
    char owner[128];
    const std::string link = paths_.names() + "/" + name_;
    const ssize_t length = ::readlink(link.c_str(), owner, sizeof owner);
    if (length > 0 && std::string_view(owner, static_cast<size_t>(length)) == id_) ::unlink(link.c_str());
  }
  return remove_live();
}

Result<Ok> OwnedContainer::retire(const ContainerState& state) {
  TRY(sys::replace_file(lasting() + "/state.json", encode(state), 0600));
  return remove_live();
}

std::optional<std::string> folder_of(const Paths& paths, const std::string& id) {
  for (const std::string& parent : {paths.live_containers(), paths.lasting_containers()}) {
    if (sys::exists(cat(parent, "/", id, "/container.json"))) return cat(parent, "/", id);
  }
  return std::nullopt;
}

Result<Container> load_container(const Paths& paths, const std::string& id) {
  const std::optional<std::string> folder = folder_of(paths, id);
  if (!folder) return Error(ENOENT, "no container ", printable(id));
  Container container;
  container.folder = *folder;
  const std::string record_path = *folder + "/container.json";
  const std::string record = TRY(sys::read_file(record_path, kMaxRecordBytes));
  container.record = TRY(decode_record(record, record_path));
  for (const std::string& parent : {paths.live_containers(), paths.lasting_containers()}) {
    const std::string path = cat(parent, "/", id, "/state.json");
    const std::optional<std::string> text = TRY(sys::read_file_if_exists(path, kMaxRecordBytes));
    if (!text) continue;
    container.state = TRY(decode_state(*text, path));
    return container;
  }
  // Without a state it is being made, unless it was removed while we read.
  if (!sys::exists(record_path)) return Error(ENOENT, "no container ", printable(id));
  return container;
}

IdMap id_map_of(const std::string& folder) {
  const Result<std::string> text = sys::read_file(folder + "/config.json", kMaxRecordBytes);
  if (text.ok()) {
    if (const Result<oci::Config> config = oci::decode_config(*text);
        config.ok() && !config->linux.uid_mappings.empty()) {
      return {config->linux.uid_mappings, config->linux.gid_mappings};
    }
  }
  if (Result<sys::Host> host = sys::probe_host(); host.ok()) {
    if (Result<DefaultIdMap> map = default_id_map(*host); map.ok()) return map->map;
  }
  return {};
}

namespace {

// It was killed with whoever looked after it, but may need a moment to end; and what it writes meanwhile would be in
// the way of whoever removes its files. False where even that does not end it: it waits for a device.
Result<bool> has_ended(const Container& container) {
  const Result<Fd> init = open_init(container);
  if (!init.ok()) return true;
  (void)sys::send_signal(init->get(), SIGKILL);
  return ends_within(init->get(), 2'000);
}

// False where somebody looks after it, or it does not end.
Result<bool> sweep_one(const Paths& paths, const std::string& id) {
  std::optional<OwnedContainer> container = TRY(OwnedContainer::adopt(paths, id));
  if (!container) return false;
  Result<Container> loaded = load_container(paths, id);
  if (!loaded.ok() && loaded.error().code() != ENOENT) return true;  // its owner decides, with `moss rm`
  if (loaded.ok() && !TRY(has_ended(*loaded))) return false;
  if (!loaded.ok() || loaded->record.remove) {
    TRY(container->remove(id_map_of(container->folder())));
    return true;
  }
  ContainerState state = container->announced_end().value_or(loaded->state);
  if (state.status == Status::running) {
    state.status = Status::exited;
    state.exit_code = kUnseenEnd;
    state.finished = now_rfc3339();
    state.pid = 0;
  }
  TRY(container->retire(state));
  return true;
}

}  // namespace

Result<Ok> sweep(const Paths& paths) {
  Result<std::vector<std::string>> live = sys::list_dir(paths.live_containers());
  if (live.ok()) {
    for (const std::string& id : *live) TRY(sweep_one(paths, id));
  } else if (live.error().code() != ENOENT) {
    return std::move(live).error();
  }
  // Writable layers whose container never came to be, or was on a tmpfs that a reboot emptied.
  Result<std::vector<std::string>> lasting = sys::list_dir(paths.lasting_containers());
  if (!lasting.ok()) return lasting.error().code() == ENOENT ? Result<Ok>(Ok{}) : std::move(lasting).error();
  for (const std::string& id : *lasting) {
    if (sys::exists(cat(paths.live_containers(), "/", id))) continue;
    const std::string folder = cat(paths.lasting_containers(), "/", id);
    if (!sys::exists(folder + "/container.json")) {
      TRY(sweep_one(paths, id));
      continue;
    }
    Result<Container> container = load_container(paths, id);
    if (container.ok() && container->state.status == Status::running) TRY(sweep_one(paths, id));
  }
  return Ok{};
}

Result<std::vector<Container>> list_containers(const Paths& paths) {
  TRY(sweep(paths));
  std::vector<Container> containers;
  std::vector<std::string> ids;
  for (const std::string& parent : {paths.live_containers(), paths.lasting_containers()}) {
    const Result<std::vector<std::string>> names = sys::list_dir(parent);
    if (!names.ok()) continue;
    ids.insert(ids.end(), names->begin(), names->end());
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  for (const std::string& id : ids) {
    // One that ends while we look is simply not there any more.
    Result<Container> container = load_container(paths, id);
    if (container.ok()) {
      containers.push_back(std::move(container).value());
    } else if (container.error().code() != ENOENT) {
      // One whose record is damaged is still there to be seen and removed, and nobody else's trouble.
      containers.push_back({.record = {.id = id, .name = name_beside(paths, id).value_or(id.substr(0, 12))},
                            .state = {.status = Status::exited, .error = container.error().to_string()},
                            .folder = folder_of(paths, id).value_or("")});
    }
  }
  std::sort(containers.begin(), containers.end(),
            [](const Container& a, const Container& b) { return a.record.created < b.record.created; });
  return containers;
}

Result<std::optional<Container>> look_up_container(const Paths& paths, const std::string& name_or_id) {
  std::vector<Container> containers = TRY(list_containers(paths));
  std::vector<Container*> matches;
  for (Container& container : containers) {
    if (container.record.name == name_or_id || container.record.id == name_or_id)
      return std::optional(std::move(container));
    if (!name_or_id.empty() && container.record.id.starts_with(name_or_id)) matches.push_back(&container);
  }
  if (matches.size() == 1) return std::optional(std::move(*matches.front()));
  if (matches.size() > 1) {
    return Error(0, "several containers' ids begin with ", printable(name_or_id), "; give more of it");
  }
  return std::optional<Container>();
}

Error no_such_container(const std::string& name_or_id) {
  return Error(0, "no container with name or id \"", printable(name_or_id), "\"; see: moss ps -a");
}

Result<Container> find_container(const Paths& paths, const std::string& name_or_id) {
  std::optional<Container> container = TRY(look_up_container(paths, name_or_id));
  if (container) return std::move(*container);
  return no_such_container(name_or_id);
}

Result<Container> latest_container(const Paths& paths) {
  std::vector<Container> containers = TRY(list_containers(paths));
  if (containers.empty()) return Error(0, "there are no containers");
  return std::move(containers.back());
}

}  // namespace moss::engine
