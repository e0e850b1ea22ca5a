// From the words of `moss run` and the image's config to a bundle: config.json and the files bound over /etc.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "moss/engine/container.hh"
#include "moss/oci/config.hh"
#include "moss/oci/image.hh"
#include "moss/sys/host.hh"
#include "src/engine/containers/users.hh"

namespace moss::engine {

/// Where a network namespace comes from.
enum class NetworkMode { none, host, private_net };
Result<NetworkMode> parse_network_mode(const std::string& text);
const char* to_string(NetworkMode mode);

/// What a bundle is made of. Everything was looked up by the caller; making the config touches only the sources of
/// volumes.
struct BundleInput {
  const RunOptions& options;
  const sys::Host& host;
  const oci::ImageRunConfig& image;  ///< all empty with --rootfs
  IdMap map;                         ///< empty: no user namespace (--userns=host as root)
  ResolvedUser user;
  NetworkMode network = NetworkMode::none;
  std::string id;
  std::string live;     ///< folder of hosts, hostname, resolv.conf; rootfs is mounted at `<live>/rootfs`
  std::string lasting;  ///< folder of upper and work
  std::vector<std::string> lower_dirs;  ///< topmost first; empty: `rootfs` is used as it is
  std::string rootfs;
  bool writable_layer = true;
};

struct Bundle {
  oci::Config config;
  std::vector<std::string> command;  ///< entrypoint and arguments
  int stop_signal = 15;
  std::vector<std::string> optional_binds;  ///< destinations that may be missing in a read-only or odd rootfs
  std::string staging;                      ///< to be made before the launch: what the root is mounted on
  std::vector<std::string> folders;         ///< to be made before the mounts: upper and work folders
};

/// Errors: every misuse of an option, in its words.
Result<Bundle> make_bundle(const BundleInput& input);

/// The command to run: --entrypoint and arguments win over the image's Entrypoint and Cmd, as Podman's do.
Result<std::vector<std::string>> command_of(const RunOptions& options, const oci::ImageRunConfig& image);

/// The id map that --userns, --uidmap and --gidmap ask for. Nothing: no user namespace.
struct ChosenMap {
  std::optional<IdMap> map;
  std::string notice;     ///< a fallback taken; empty: none
  bool keeps_id = false;  ///< the caller has the same id inside
};
Result<ChosenMap> choose_id_map(const RunOptions& options, const sys::Host& host);
/// Every id there is, each as itself: for files of a container without a user namespace.
IdMap every_id();

/// In a single-id map the caller's groups stay. Error: one of them opens the host's secrets and --allow-groups was not
/// given. Otherwise the names of those that stay, for a warning.
Result<std::vector<std::string>> check_remaining_groups(const IdMap& map, bool allow_groups);

}  // namespace moss::engine
