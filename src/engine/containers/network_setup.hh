// What a container's network is, and the three files that say so inside.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/container.hh"
#include "src/engine/containers/bundle.hh"

namespace moss::engine {

struct NetworkChoice {
  NetworkMode mode = NetworkMode::none;
};

/// By --network and -p. Without --network the container gets a network of its own where this host has the means, and
/// none, with a notice, where it has not. Errors: asked for and not to be had; -p without such a network.
Result<NetworkChoice> choose_network(const RunOptions& options, const Notice& notice);

/// The process that joins the container's network to ours.
class NetworkHelperHolder {
 public:
  Result<Ok> start(pid_t init, const NetworkChoice& choice);
  /// Descriptors that must stay open for the helper's sake when a monitor takes over.
  std::vector<int> keep_across_exec() const { return {}; }
};

struct NetworkAbility {
  std::string tool;     ///< "pasta", "slirp4netns" or empty
  std::string why_not;  ///< what is missing and how to get it
};
NetworkAbility probe_network();

std::vector<std::string> describe_ports(const NetworkChoice& choice);
std::string hosts_file(const NetworkChoice& choice, const std::string& hostname, const std::string& name);
Result<std::string> resolv_conf_file(const NetworkChoice& choice, size_t max_bytes);

}  // namespace moss::engine
