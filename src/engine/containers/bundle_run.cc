// config.json -> plan -> launch -> exit code.
#include "moss/engine/bundle_run.hh"

#include <stdlib.h>
#include <unistd.h>

#include "moss/runtime/launch.hh"
#include "moss/runtime/plan.hh"
#include "moss/runtime/seccomp.hh"
#include "moss/sys/file.hh"
#include "src/engine/containers/supervise.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxConfigBytes = 16u << 20;

bool is_id(std::string_view id) {
  if (id.empty() || id == "." || id == "..") return false;
  return id.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_+-.") ==
         std::string_view::npos;
}

}  // namespace

Result<int> run_bundle(const std::string& bundle, const std::string& id, const Notice& notice) {
  if (!is_id(id)) return Error(0, "\"", printable(id), "\" is no container id: letters, digits and _+-. make one");
  char* real = ::realpath(bundle.c_str(), nullptr);
  if (real == nullptr) return sys_error("open bundle ", bundle);
  const std::string folder = real;
  ::free(real);
  const std::string text = TRY(sys::read_file(folder + "/config.json", kMaxConfigBytes));
  const oci::Config config = TRY(oci::decode_config(text));
  const sys::Host host = TRY(sys::probe_host());
  runtime::PlanOptions options{.bundle = folder};
  if (config.linux.seccomp) {
    const runtime::SeccompFilter filter = TRY(runtime::compile_seccomp(*config.linux.seccomp).context("linux.seccomp"));
    options.seccomp.assign(filter.program().begin(), filter.program().end());
    options.seccomp_flags = filter.flags;
  }
  const runtime::Plan plan = TRY(runtime::plan(config, host, std::move(options)));
  TRY(block_signals());
  runtime::Launched launched = TRY(runtime::launch(plan, {}).context("run ", id));
  const bool terminal = config.process.terminal;
  const std::optional<RawTerminal> raw =
      terminal ? std::optional<RawTerminal>(std::in_place, STDIN_FILENO) : std::nullopt;
  const sys::Exit exit = TRY(supervise(
      {
          .init = std::move(launched.init),
          .terminal = std::move(launched.terminal),
          .from_caller = terminal,
      },
      notice));
  return exit.shell_code();
}

}  // namespace moss::engine
