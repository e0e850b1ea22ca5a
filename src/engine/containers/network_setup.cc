// The words of --network and -p against what this host can do.
#include "src/engine/containers/network_setup.hh"

#include <unistd.h>

#include <algorithm>

#include "moss/sys/file.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxResolvConfBytes = 1u << 20;

// The tools that the options leave. pasta's version is asked for only where it may be chosen and matters.
Result<NetworkTools> usable_tools(const RunOptions& options, const std::vector<PublishedPort>& ports) {
  NetworkTools tools = probe_network_tools();
  if (options.network == "pasta") tools.slirp4netns.reset();
  if (options.network == "slirp4netns") tools.pasta.reset();
  // pasta begins by joining the container's user namespace, and real root's --userns host gives it none.
  if (options.userns == "host" && ::geteuid() == 0 && tools.pasta) {
    if (!tools.slirp4netns) {
      return Error(0,
                   "--userns host: pasta needs a user namespace of the container's own; "
                   "sudo apt install slirp4netns, or use --network none or host");
    }
    tools.pasta.reset();
  }
  const auto is_tcp = [](const PublishedPort& port) { return port.protocol == PublishedPort::tcp; };
  tools.pasta_keeps_silent =
      tools.pasta && std::any_of(ports.begin(), ports.end(), is_tcp) && pasta_keeps_silent(*tools.pasta);
  return tools;
}

}  // namespace

Result<NetworkChoice> choose_network(const RunOptions& options, const Paths& paths, const Notice& notice) {
  NetworkChoice choice{.runtime_folder = paths.run};
  choice.mode = options.network.empty() ? NetworkMode::private_net : TRY(parse_network_mode(options.network));
  if (choice.mode != NetworkMode::private_net) {
    if (!options.publish.empty()) {
      return Error(0, "-p ", printable(options.publish.front()),
                   " needs a network of the container's own, not --network ", to_string(choice.mode));
    }
    return choice;
  }
  std::vector<PublishedPort> ports;
  for (const std::string& text : options.publish) {
    for (PublishedPort& port : TRY(parse_publish(text).context("-p ", printable(text))))
      ports.push_back(std::move(port));
  }
  const Result<NetworkTools> tools = usable_tools(options, ports);
  const Result<NetworkTool> tool = tools.ok() ? choose_network_tool(*tools) : tools.error();
  if (!tool.ok()) {
    if (!options.network.empty() || !options.publish.empty()) return tool.error();
    choice.why_none = tool.error().to_string();
    choice.mode = NetworkMode::none;
    return choice;
  }
  choice.tool = *tool;
  choice.program = (choice.tool == NetworkTool::pasta ? tools->pasta : tools->slirp4netns).value_or("");
  choice.ports = TRY(choose_host_ports(std::move(ports), choice.tool));
  for (const std::string& line : publish_notices(choice.ports, choice.tool, tools->pasta_keeps_silent)) notice(line);
  return choice;
}

std::vector<std::string> describe_ports(const NetworkChoice& choice) {
  std::vector<std::string> texts;
  for (const PublishedPort& port : choice.ports) texts.push_back(to_string(port));
  return texts;
}

std::string hosts_file(const NetworkChoice& choice, const std::string& hostname) {
  // With no network of its own, or with the host's, the name leads to the container's own loopback.
  std::string address = "127.0.1.1";
  std::vector<HostsEntry> extra;
  if (choice.mode == NetworkMode::private_net) {
    const std::optional<std::string> host = probe_host_address();
    address = container_address(choice.tool, host).value_or(address);
    if (const std::optional<std::string> gateway = host_gateway(choice.tool, host)) {
      extra.push_back({*gateway, {"host.containers.internal"}});
    }
  }
  return make_hosts(hostname, address, extra);
}

Result<std::string> resolv_conf_file(const NetworkChoice& choice) {
  if (choice.mode == NetworkMode::none) return std::string();
  const std::string host = TRY(sys::read_file_if_exists("/etc/resolv.conf", kMaxResolvConfBytes)).value_or("");
  const bool own = choice.mode == NetworkMode::private_net;
  return make_resolv_conf(host, own ? std::optional(choice.tool) : std::nullopt, {});
}

}  // namespace moss::engine
