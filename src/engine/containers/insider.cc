// See insider.hh.
#include "src/engine/containers/insider.hh"

#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "src/engine/containers/store.hh"

namespace moss::engine {

Result<Insider> find_insider(const Container& container) {
  const auto init = static_cast<pid_t>(container.state.pid);
  Fd init_fd = TRY(open_init(container));
  if (!container.record.built_in_init) return Insider{init, std::move(init_fd)};
  const std::string file = cat("/proc/", init, "/task/", init, "/children");
  const std::string children = TRY(sys::read_kernel_file(file));
  const auto command = parse_number<pid_t>(cut(trim(children), ' ').first);
  if (!command) return Error(ESRCH, "container ", container.record.name, " is ending");
  Fd command_fd = TRY(sys::open_pidfd(*command));
  // Still its child now that we hold it: so the number is not somebody else's yet.
  const std::string now = TRY(sys::read_kernel_file(file));
  if (cut(trim(now), ' ').first != cut(trim(children), ' ').first) {
    return Error(ESRCH, "container ", container.record.name, " is ending");
  }
  return Insider{*command, std::move(command_fd)};
}

}  // namespace moss::engine
