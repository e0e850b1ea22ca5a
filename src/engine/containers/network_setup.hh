// What a container's network is, and the files that say so inside.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "moss/base/result.hh"
#include "moss/engine/container.hh"
#include "moss/engine/network.hh"
#include "src/engine/containers/bundle.hh"

namespace moss::engine {

struct NetworkChoice {
  NetworkMode mode = NetworkMode::none;
  NetworkTool tool = NetworkTool::pasta;  ///< with NetworkMode::private_net
  std::string program;
  std::vector<PublishedPort> ports;
  std::string runtime_folder;
  std::string why_none;  ///< what this host lacks, where the container would have had a network of its own
};

/// By --network and -p. Without --network the container gets a network of its own where this host has the means, and
/// none, with a notice, where it has not. Errors: asked for and not to be had; -p without such a network; a port taken.
Result<NetworkChoice> choose_network(const RunOptions& options, const Paths& paths, const Notice& notice);

std::vector<std::string> describe_ports(const NetworkChoice& choice);
std::string hosts_file(const NetworkChoice& choice, const std::string& hostname);
Result<std::string> resolv_conf_file(const NetworkChoice& choice);

}  // namespace moss::engine
