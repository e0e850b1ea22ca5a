// config.json -> plan -> launch -> exit code.
#include "moss/engine/bundle_run.hh"

#include <stdlib.h>
#include <unistd.h>

#include "moss/engine/paths.hh"
#include "moss/oci/container_process_state.hh"
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
  runtime::PlanOptions options{.bundle = folder, .id = id, .session_keyring = "_ses." + id};
  if (config.linux.seccomp) {
    // Compiling takes longer than all the rest of a launch, so it is done once.
    const Result<Paths> paths = find_paths();
    const runtime::SeccompFilter filter =
        TRY(runtime::seccomp_filter(*config.linux.seccomp, paths.ok() ? paths->run + "/seccomp" : "")
                .context("linux.seccomp"));
    options.seccomp.assign(filter.program().begin(), filter.program().end());
    options.seccomp_flags = filter.flags;
  }
  const runtime::Plan plan = TRY(runtime::plan(config, host, std::move(options)));
  TRY(block_signals());
  for (const std::string& warning : plan.warnings) notice("warning: " + warning);
  const auto on_listener = [&](pid_t init, Fd listener) -> Result<Ok> {
    const oci::ContainerProcessState state{
        .pid = init,
        .metadata = config.linux.seccomp->listener_metadata,
        .state = {.id = id, .status = "creating", .pid = init, .bundle = folder, .annotations = config.annotations}};
    return runtime::send_to_seccomp_agent(config.linux.seccomp->listener_path.value_or(""),
                                          oci::encode_container_process_state(state), listener.get());
  };
  runtime::Launched launched = TRY(runtime::launch(plan, {.on_seccomp_listener = on_listener}).context("run ", id));
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
  TRY(runtime::remove_resctrl_groups(launched.resctrl));
  return exit.shell_code();
}

}  // namespace moss::engine
