// Published ports: reading -p, and making sure on the host that it can be kept.
//
// Neither tool tells a taken port from other failures in words a user could act on (pasta even goes on where one of two
// address families is taken), so moss tries each port itself first, with the same bind(2) that the tool will do.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <set>

#include "moss/engine/network.hh"

namespace moss::engine {

namespace {

struct PortRange {
  unsigned first = 0;
  unsigned count = 1;
};

bool is_ipv6(const std::string& ip) { return ip.find(':') != std::string::npos; }

const char* to_string(PublishedPort::Protocol protocol) { return protocol == PublishedPort::udp ? "udp" : "tcp"; }

Result<PortRange> parse_ports(std::string_view text, std::string_view whose) {
  const auto [first_text, last_text] = cut(text, '-');
  const auto first = parse_number<unsigned>(first_text);
  const auto last = last_text ? parse_number<unsigned>(*last_text) : first;
  if (!first || !last) {
    return Error(0, whose, " port \"", printable(text), "\" is neither a number nor a range like 8000-8010");
  }
  for (const unsigned port : {*first, *last}) {
    if (port < 1 || port > 65535) return Error(0, whose, " port ", port, " is out of range (1-65535)");
  }
  if (*last < *first) return Error(0, whose, " port range ", text, " runs backwards");
  return PortRange{*first, *last - *first + 1};
}

Result<PublishedPort::Protocol> parse_protocol(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
  if (lower == "tcp") return PublishedPort::tcp;
  if (lower == "udp") return PublishedPort::udp;
  if (lower == "sctp") return Error(0, "sctp is not supported by user-mode networking; publish tcp or udp");
  return Error(0, "unknown protocol \"", printable(text), "\"; use tcp or udp");
}

// The three places before "/protocol".
struct Places {
  std::string ip;
  std::string_view host;  // empty: none given
  std::string_view container;
};

Result<Places> split_places(std::string_view text) {
  Places places;
  if (text.starts_with('[')) {
    const size_t end = text.find("]:");
    if (end == std::string_view::npos) return Error(0, "expected [IPv6 address]:hostPort:containerPort");
    places.ip = text.substr(1, end - 1);
    text.remove_prefix(end + 2);
    const auto [host, container] = cut(text, ':');
    if (!container) return Error(0, "expected [IPv6 address]:hostPort:containerPort");
    if (!is_ipv6(places.ip)) return Error(0, "\"", printable(places.ip), "\" is no IPv6 address");
    places.host = host;
    places.container = *container;
  } else {
    const std::vector<std::string_view> parts = split(text, ':');
    if (parts.empty()) return Error(0, "no container port");
    if (parts.size() > 3) return Error(0, "too many colons; an IPv6 address stands in brackets: [::1]:8080:80");
    places.container = parts.back();
    if (parts.size() > 1) places.host = parts[parts.size() - 2];
    if (parts.size() == 3) places.ip = parts[0];
  }
  unsigned char address[sizeof(in6_addr)];
  if (!places.ip.empty() && ::inet_pton(is_ipv6(places.ip) ? AF_INET6 : AF_INET, places.ip.c_str(), address) != 1) {
    return Error(0, "\"", printable(places.ip), "\" is no IP address");
  }
  return places;
}

Result<std::vector<PublishedPort>> parse_entries(std::string_view text) {
  const auto [where, protocols] = cut(text, '/');
  const Places places = TRY(split_places(where));
  const PortRange container = TRY(parse_ports(places.container, "container"));
  PortRange host{0, container.count};
  if (!places.host.empty()) host = TRY(parse_ports(places.host, "host"));
  if (host.count != container.count) {
    return Error(0, "the ranges differ: ", host.count, " host ports for ", container.count, " container ports");
  }
  std::vector<PublishedPort> ports;
  for (const std::string_view name : protocols ? split(*protocols, ',') : std::vector<std::string_view>{"tcp"}) {
    const PublishedPort::Protocol protocol = TRY(parse_protocol(name));
    for (unsigned i = 0; i < container.count; ++i) {
      ports.push_back({places.ip, static_cast<uint16_t>(host.first == 0 ? 0 : host.first + i),
                       static_cast<uint16_t>(container.first + i), protocol});
    }
  }
  if (ports.empty()) return Error(0, "no protocol after \"/\"; use tcp or udp");
  return ports;
}

// "publish 8080/tcp", "publish 127.0.0.1:8080/tcp"
std::string naming(const PublishedPort& port) {
  std::string out = "publish ";
  if (is_ipv6(port.host_ip)) {
    out += cat('[', port.host_ip, "]:");
  } else if (!port.host_ip.empty()) {
    out += cat(port.host_ip, ':');
  }
  return cat(out, port.host_port, '/', to_string(port.protocol));
}

bool addresses_overlap(const std::string& a, const std::string& b) {
  if (a == b || a.empty() || b.empty()) return true;
  if (is_ipv6(a) != is_ipv6(b)) return false;
  return a == "0.0.0.0" || b == "0.0.0.0" || a == "::" || b == "::";
}

Result<Ok> check_overlaps(const std::vector<PublishedPort>& ports) {
  std::multimap<std::pair<uint16_t, int>, const PublishedPort*> seen;
  for (const PublishedPort& port : ports) {
    if (port.host_port == 0) continue;
    const std::pair<uint16_t, int> key{port.host_port, port.protocol};
    for (auto [other, end] = seen.equal_range(key); other != end; ++other) {
      if (addresses_overlap(port.host_ip, other->second->host_ip)) {
        return Error(0, naming(port), ": asked for twice, for container ports ", other->second->container_port, " and ",
                     port.container_port);
      }
    }
    seen.emplace(key, &port);
  }
  return Ok{};
}

// Binds as the tool will, then lets go again. Gives the port, or -1 with errno set.
int try_bind(const std::string& ip, uint16_t port, PublishedPort::Protocol protocol) {
  const bool any_family = ip.empty();
  const int family = any_family || is_ipv6(ip) ? AF_INET6 : AF_INET;
  const int type = protocol == PublishedPort::udp ? SOCK_DGRAM : SOCK_STREAM;
  const Fd fd(::socket(family, type | SOCK_CLOEXEC, 0));
  if (!fd) return -1;
  const int on = 1;
  const int off = 0;
  // Old connections in TIME_WAIT are no obstacle to a listener; for UDP the same option would hide a taken port.
  if (protocol == PublishedPort::tcp) ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  sockaddr_storage storage{};
  socklen_t length = 0;
  if (family == AF_INET6) {
    ::setsockopt(fd.get(), IPPROTO_IPV6, IPV6_V6ONLY, any_family ? &off : &on, sizeof on);
    sockaddr_in6 address{.sin6_family = AF_INET6, .sin6_port = htons(port)};
    if (!any_family) ::inet_pton(AF_INET6, ip.c_str(), &address.sin6_addr);
    ::memcpy(&storage, &address, length = sizeof address);
  } else {
    sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port)};
    ::inet_pton(AF_INET, ip.c_str(), &address.sin_addr);
    ::memcpy(&storage, &address, length = sizeof address);
  }
  if (::bind(fd.get(), reinterpret_cast<sockaddr*>(&storage), length) != 0) return -1;
  if (::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&storage), &length) != 0) return -1;
  // Both families keep the port at the same place.
  return ntohs(reinterpret_cast<sockaddr_in*>(&storage)->sin_port);
}

// The first port that everybody may bind.
unsigned unprivileged_port_start() {
  const Result<std::string> text = sys::read_kernel_file("/proc/sys/net/ipv4/ip_unprivileged_port_start");
  return text.ok() ? parse_number<unsigned>(trim(*text)).value_or(1024) : 1024;
}

Result<uint16_t> claim(const PublishedPort& port, NetworkTool tool, unsigned first_open_port) {
  if (tool == NetworkTool::slirp4netns && is_ipv6(port.host_ip)) {
    return Error(0, naming(port), ": slirp4netns publishes on IPv4 addresses only; install passt, or leave out ",
                 port.host_ip);
  }
  // pasta works inside the container's user namespace, where even root's helper has no right to the host's low ports.
  const bool privileged = ::geteuid() == 0 && tool == NetworkTool::slirp4netns;
  if (port.host_port != 0 && port.host_port < first_open_port && !privileged) {
    return Error(0, naming(port), ": ports below ", first_open_port, " are closed to users; choose another host port, ",
                 "or open them: sudo sysctl net.ipv4.ip_unprivileged_port_start=", port.host_port);
  }
  const std::string ip = port.host_ip.empty() && tool == NetworkTool::slirp4netns ? "0.0.0.0" : port.host_ip;
  int bound = try_bind(ip, port.host_port, port.protocol);
  if (bound < 0 && errno == EAFNOSUPPORT && ip.empty()) bound = try_bind("0.0.0.0", port.host_port, port.protocol);
  if (bound >= 0) return static_cast<uint16_t>(bound);
  if (errno == EADDRINUSE) return Error(0, naming(port), ": address already in use; choose another host port");
  if (errno == EADDRNOTAVAIL) return Error(0, naming(port), ": this host has no address ", port.host_ip);
  return sys_error(naming(port));
}

// pasta is at its best with the same number on both sides of UDP.
Result<uint16_t> pick(const PublishedPort& port, NetworkTool tool, unsigned first_open_port) {
  if (port.protocol == PublishedPort::udp) {
    PublishedPort same = port;
    same.host_port = port.container_port;
    const Result<uint16_t> claimed = claim(same, tool, first_open_port);
    if (claimed.ok()) return claimed;
  }
  return claim(port, tool, first_open_port);
}

}  // namespace

std::string to_string(const PublishedPort& port) {
  const std::string ip = port.host_ip.empty()    ? "0.0.0.0"
                         : is_ipv6(port.host_ip) ? cat('[', port.host_ip, ']')
                                                 : port.host_ip;
  return cat(ip, ':', port.host_port, "->", port.container_port, '/', to_string(port.protocol));
}

Result<std::vector<PublishedPort>> parse_publish(std::string_view text) {
  return parse_entries(text).context("publish \"", printable(text), "\"");
}

Result<std::vector<PublishedPort>> choose_host_ports(std::vector<PublishedPort> ports, NetworkTool tool) {
  std::vector<PublishedPort> chosen;
  std::set<PublishedPort> given;
  for (PublishedPort& port : ports) {
    if (port.host_port == 0 || given.insert(port).second) chosen.push_back(std::move(port));
  }
  TRY(check_overlaps(chosen));
  if (chosen.empty()) return chosen;
  const unsigned first_open_port = unprivileged_port_start();
  // Those with a number first, so that none of them is picked for another.
  std::set<std::pair<uint16_t, int>> taken;
  for (const bool numbered : {true, false}) {
    for (PublishedPort& port : chosen) {
      if ((port.host_port != 0) != numbered) continue;
      uint16_t host_port = TRY(numbered ? claim(port, tool, first_open_port) : pick(port, tool, first_open_port));
      // A picked port is let go at once, and the kernel may offer it again.
      while (!taken.emplace(host_port, port.protocol).second && !numbered) {
        host_port = TRY(claim(port, tool, first_open_port));
      }
      port.host_port = host_port;
    }
  }
  return chosen;
}

std::vector<std::string> publish_notices(const std::vector<PublishedPort>& ports, NetworkTool tool,
                                         bool pasta_keeps_silent) {
  std::vector<std::string> notices;
  for (const PublishedPort& port : ports) {
    if (port.protocol == PublishedPort::tcp) {
      if (tool == NetworkTool::pasta && pasta_keeps_silent) {
        notices.push_back(cat(naming(port),
                              ": with this old pasta a server that speaks first (SSH, SMTP, MySQL) never ",
                              "answers clients beyond 127.0.0.1; sudo apt install slirp4netns"));
      }
    } else if (tool == NetworkTool::slirp4netns) {
      notices.push_back(cat(naming(port), ": slirp4netns does not answer senders on 127.0.0.1; ",
                            "send to another address of this host, or install passt"));
    } else if (port.host_port != port.container_port) {
      notices.push_back(cat(naming(port), ": older pasta does not answer programs on this host here; ", "publish ",
                            port.container_port, ':', port.container_port, "/udp"));
    }
  }
  return notices;
}

}  // namespace moss::engine
