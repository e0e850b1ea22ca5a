#include "src/engine/containers/network_setup.hh"
#include "moss/sys/file.hh"
namespace moss::engine {
Result<NetworkChoice> choose_network(const RunOptions& options, const Notice&) {
  if (options.network.empty()) return NetworkChoice{};
  return NetworkChoice{TRY(parse_network_mode(options.network))};
}
Result<Ok> NetworkHelperHolder::start(pid_t, const NetworkChoice&) { return Ok{}; }
NetworkAbility probe_network() { return {}; }
std::vector<std::string> describe_ports(const NetworkChoice&) { return {}; }
std::string hosts_file(const NetworkChoice&, const std::string& hostname, const std::string& name) {
  std::string text = "127.0.0.1\tlocalhost localhost.localdomain\n::1\tlocalhost localhost.localdomain\n";
  if (!hostname.empty()) text += cat("127.0.1.1\t", hostname, " ", name, "\n");
  return text;
}
Result<std::string> resolv_conf_file(const NetworkChoice& choice, size_t max_bytes) {
  if (choice.mode == NetworkMode::none) return std::string();
  return TRY(sys::read_file_if_exists("/etc/resolv.conf", max_bytes)).value_or("");
}
}
