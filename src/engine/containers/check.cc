// moss system check, the containers' half: whether each can still be looked at, started from and removed.
#include "moss/engine/check.hh"

#include <unistd.h>

#include "moss/engine/container.hh"
#include "moss/sys/file.hh"
#include "src/engine/containers/container_layers.hh"
#include "src/engine/containers/store.hh"

namespace moss::engine {

namespace {

class ContainerCheck {
 public:
  ContainerCheck(const Paths& paths, const CheckOptions& options) : paths_(paths), options_(options) {}

  Result<CheckReport> run() {
    // What died unseen is swept first: that is no damage.
    for (const Container& container : TRY(list_containers(paths_))) {
      if (const std::string fault = fault_of(container); !fault.empty()) TRY(damaged(container, fault));
    }
    TRY(look_at_names());
    return report_;
  }

 private:
  // What is wrong; nothing where all is well or the container has gone meanwhile.
  std::string fault_of(const Container& container) const {
    // Its record, where that cannot be read, is told by the error; else that one is of its last start.
    const Result<Container> loaded = load_container(paths_, container.record.id);
    if (!loaded.ok()) return loaded.error().code() == ENOENT ? "" : loaded.error().to_string();
    const Result<ContainerLayers> layers = container_layers(*loaded);
    if (!layers.ok()) return folder_of(paths_, container.record.id) ? layers.error().to_string() : "";
    for (const std::string& folder : layers->all()) {
      if (sys::exists(folder)) continue;
      if (!folder_of(paths_, container.record.id)) return {};
      return cat(folder == layers->upper ? "its writable layer " : "layer ", folder, " is gone");
    }
    return {};
  }

  Result<Ok> damaged(const Container& container, const std::string& fault) {
    const std::string called = cat("container ", printable(container.record.name));
    ++report_.damaged;
    say(cat(called, ": ", fault));
    if (!options_.repair) return Ok{};
    if (!options_.remove_containers) {
      say(cat(called, " is kept; with --force it is removed"));
      return Ok{};
    }
    const Result<Ok> removed = remove_container(paths_, container, true, 0);
    if (!removed.ok()) {
      say(cat(called, ": ", removed.error().to_string()));
      return Ok{};
    }
    say("removed " + called);
    ++report_.repaired;
    return Ok{};
  }

  // A name that leads nowhere is given to the next who asks for it; it is only in the way of `ls`.
  Result<Ok> look_at_names() {
    if (!sys::exists(paths_.names())) return Ok{};
    for (const std::string& name : TRY(sys::list_dir(paths_.names()))) {
      const std::string link = cat(paths_.names(), "/", name);
      char owner[128];
      const ssize_t length = ::readlink(link.c_str(), owner, sizeof owner);
      if (length < 0 && errno == ENOENT) continue;
      const std::string id(owner, length > 0 ? static_cast<size_t>(length) : 0);
      // One that is being made has its name before its record, and a folder that holds its lock before both.
      if (!id.empty() && (folder_of(paths_, id) || sys::exists(cat(paths_.live_containers(), "/", id)))) continue;
      // One that was removed meanwhile has given its name back, and somebody else may have it already.
      char now[128];
      if (::readlink(link.c_str(), now, sizeof now) != length || std::string_view(now, id.size()) != id) continue;
      ++report_.left_over;
      say(cat("the name ", printable(name), " is of no container"));
      if (options_.repair && ::unlink(link.c_str()) == 0) say(cat("removed the name ", printable(name)));
    }
    return Ok{};
  }

  void say(const std::string& line) const {
    if (options_.say) options_.say(line);
  }

  const Paths& paths_;
  const CheckOptions& options_;
  CheckReport report_;
};

}  // namespace

Result<CheckReport> check_containers(const Paths& paths, const CheckOptions& options) {
  return ContainerCheck(paths, options).run();
}

}  // namespace moss::engine
