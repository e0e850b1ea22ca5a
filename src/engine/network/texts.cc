// What a container reads about its network: /etc/resolv.conf and /etc/hosts, from the host's and the tool's facts.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "moss/engine/network.hh"

namespace moss::engine {

namespace {

// slirp4netns's fixed addresses within its default 10.0.2.0/24.
constexpr const char* kSlirpNameserver = "10.0.2.3";
constexpr const char* kSlirpContainer = "10.0.2.100";

struct ResolvConf {
  std::vector<std::string> servers;
  std::vector<std::string> searches;
  std::vector<std::string> options;
};

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  while (!(text = trim(text)).empty()) {
    const size_t end = text.find_first_of(" \t");
    out.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) break;
    text.remove_prefix(end);
  }
  return out;
}

// The keyword stands at the start of its line; the last of "search" and "domain" counts, "options" add up.
ResolvConf parse_resolv_conf(std::string_view text) {
  ResolvConf conf;
  for (const std::string_view line : split(text, '\n')) {
    std::vector<std::string> parts = words(line);
    if (parts.size() < 2) continue;
    const std::string keyword = parts[0];
    parts.erase(parts.begin());
    if (keyword == "nameserver") {
      conf.servers.push_back(parts[0]);
    } else if (keyword == "search" || keyword == "domain") {
      conf.searches = parts;
    } else if (keyword == "options") {
      conf.options.insert(conf.options.end(), parts.begin(), parts.end());
    }
  }
  return conf;
}

bool is_loopback(const std::string& address) { return address.starts_with("127.") || address == "::1"; }

}  // namespace

std::vector<std::string> nameservers(std::string_view host_resolv_conf, std::optional<NetworkTool> tool) {
  std::vector<std::string> servers = parse_resolv_conf(host_resolv_conf).servers;
  if (!tool) return servers;
  if (*tool == NetworkTool::slirp4netns) return {kSlirpNameserver};
  std::vector<std::string> reachable;
  for (std::string& server : servers) {
    // "fe80::1%eth0" names an interface of the host.
    if (server.find('%') != std::string::npos) continue;
    if (is_loopback(server)) server = kForwardedNameserver;
    if (std::find(reachable.begin(), reachable.end(), server) == reachable.end()) reachable.push_back(server);
  }
  return reachable;
}

std::string make_resolv_conf(std::string_view host_resolv_conf, std::optional<NetworkTool> tool,
                             const DnsOptions& options) {
  const ResolvConf host = parse_resolv_conf(host_resolv_conf);
  const std::vector<std::string> searches = options.searches.empty() ? host.searches : options.searches;
  const std::vector<std::string> flags = options.options.empty() ? host.options : options.options;
  std::string out;
  if (!searches.empty() && searches != std::vector<std::string>{"."}) out += cat("search ", join(searches, " "), '\n');
  for (const std::string& server : options.servers.empty() ? nameservers(host_resolv_conf, tool) : options.servers) {
    out += cat("nameserver ", server, '\n');
  }
  if (!flags.empty()) out += cat("options ", join(flags, " "), '\n');
  return out;
}

std::string make_hosts(std::string_view hostname, std::string_view address, std::span<const HostsEntry> extra) {
  std::string out = "127.0.0.1\tlocalhost\n::1\tlocalhost\n";
  for (const HostsEntry& entry : extra) out += cat(entry.address, '\t', join(entry.names, " "), '\n');
  if (!hostname.empty() && !address.empty()) out += cat(address, '\t', hostname, '\n');
  return out;
}

std::optional<std::string> probe_host_address() {
  // connect(2) on a datagram socket asks the routing table and sends nothing. 198.51.100.0/24 is never on any network
  // (RFC 5737), so the answer is the default route's.
  const Fd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(9)};
  ::inet_pton(AF_INET, "198.51.100.1", &address.sin_addr);
  socklen_t length = sizeof address;
  if (!fd || ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), length) != 0 ||
      ::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &length) != 0) {
    return std::nullopt;
  }
  char text[INET_ADDRSTRLEN];
  if (::inet_ntop(AF_INET, &address.sin_addr, text, sizeof text) == nullptr) return std::nullopt;
  return std::string(text);
}

std::optional<std::string> container_address(NetworkTool tool, const std::optional<std::string>& host_address) {
  return tool == NetworkTool::slirp4netns ? std::optional<std::string>(kSlirpContainer) : host_address;
}

std::optional<std::string> host_gateway(NetworkTool tool, const std::optional<std::string>& host_address) {
  return tool == NetworkTool::slirp4netns ? host_address : std::nullopt;
}

}  // namespace moss::engine
