// User-mode networking of one container: pasta (package passt) or slirp4netns, one helper process a container.
//
//   const NetworkTool tool = TRY(choose_network_tool(probe_network_tools()));
//   const auto ports = TRY(choose_host_ports(TRY(parse_publish("8080:80")), tool));    before anything is launched
//   NetworkHelper network = TRY(NetworkHelper::start(init, ports, tool, options));     init waits in its namespaces
//   ...                                                                                other work
//   TRY(network.wait_ready());                                                         now init may exec
//
// The helper ends with the NetworkHelper value, and also when moss is killed with no chance to clean up.
#pragma once

#include <sys/types.h>

#include <compare>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"
#include "moss/sys/child.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

/// One port of the host that leads to one of the container.
struct PublishedPort {
  enum Protocol : uint8_t { tcp, udp };

  std::string host_ip;          ///< empty: every address of the host; IPv6 without brackets
  uint16_t host_port = 0;       ///< 0: a free one is picked by choose_host_ports()
  uint16_t container_port = 0;  ///< never 0
  Protocol protocol = tcp;

  auto operator<=>(const PublishedPort&) const = default;
};

/// "127.0.0.1:8080->80/tcp", as `ps` shows it; every address is 0.0.0.0, IPv6 is in brackets.
std::string to_string(const PublishedPort& port);

/// The text of -p: [[ip:][hostPort]:]containerPort[/tcp|udp], where a port may be a range "80-82" and a comma joins
/// both protocols. A range gives one entry a port. Pure.
/// Errors: sctp (neither tool can), a port outside 1-65535, ranges of different lengths, an address that is none.
Result<std::vector<PublishedPort>> parse_publish(std::string_view text);

enum class NetworkTool { pasta, slirp4netns };
const char* to_string(NetworkTool tool);

/// What this machine has for user-mode networking, looked at once.
struct NetworkTools {
  std::optional<std::string> pasta;        ///< path of the program
  std::optional<std::string> slirp4netns;  ///< path of the program
  std::string tun_problem;                 ///< empty: the caller may open /dev/net/tun; else why not, and what to do
  bool has_default_route = false;          ///< pasta takes addresses from it, and before 2024 ended where there is none
  bool pasta_keeps_silent = false;         ///< TCP ports are wanted, and keeps_silent() is true of this pasta
};
NetworkTools probe_network_tools();

/// pasta where it can work and keeps no silence, else slirp4netns. Pure. Errors: neither is installed (names the
/// package); /dev/net/tun.
Result<NetworkTool> choose_network_tool(const NetworkTools& tools);

/// Until March 2024 pasta did not confirm a connection from outside before the client had sent something. A server that
/// speaks first (SSH, SMTP, MySQL) waits for that, and both wait for ever; only clients on the host's loopback go
/// another way. True of such a version, by the first line of what `pasta --version` prints, and of those that do not
/// know theirs (Debian 12's). Pure.
bool keeps_silent(std::string_view version_line);
/// The same, of an installed one: executed and waited for, some milliseconds. What cannot be executed keeps silent too.
bool pasta_keeps_silent(const std::string& program);

/// Picks a free port for every entry without one (for UDP the container's own number where that is free, see
/// publish_notices()) and makes sure that the others are free. To be called on the host
/// before the launch, so that a taken port is known before the workload starts; somebody may still take a port
/// between this call and the helper's, which NetworkHelper::wait_ready() then reports in the same words. Entries given
/// twice become one.
/// Errors: "publish 8080/tcp: address already in use; choose another host port"; a port below
/// net.ipv4.ip_unprivileged_port_start; an address this host does not have; two entries that ask for the same host
/// port; IPv6 addresses with slirp4netns.
Result<std::vector<PublishedPort>> choose_host_ports(std::vector<PublishedPort> ports, NetworkTool tool);

/// What a user should know about ports that are published as well as the tool can. Pure.
/// UDP: slirp4netns, kept off the host's loopback, drops its answers to it. Older pasta (Debian 12's) loses the answers
/// to programs on this host where the two numbers differ. TCP: a pasta that keeps_silent(), chosen all the same.
std::vector<std::string> publish_notices(const std::vector<PublishedPort>& ports, NetworkTool tool,
                                         bool pasta_keeps_silent);

struct NetworkOptions {
  std::string program;         ///< path of the tool, as probed; empty: looked for again
  unsigned mtu = 65520;        ///< bytes; nothing leaves the host in such packets, so the largest is the fastest
  bool ipv6 = true;            ///< where the host has it
  bool host_loopback = false;  ///< let the container reach the host's loopback through its gateway's address
  std::string runtime_folder;  ///< on a tmpfs; slirp4netns's control socket lies in a private folder below for a moment
};

/// The helper process of one container's network. Ended at the end of its scope.
class NetworkHelper {
 public:
  /// Begins to connect the network namespace of `init`, which must be a child of ours, in user and network namespaces
  /// of its own, its ids mapped, and still with the credentials that it was cloned with. `ports` come from
  /// choose_host_ports(). The helper dies with the thread that calls this, so call it from the process that stays for
  /// as long as the container runs, in its main thread.
  static Result<NetworkHelper> start(pid_t init, const std::vector<PublishedPort>& ports, NetworkTool tool,
                                     const NetworkOptions& options);

  /// Waits until the container's interface has its addresses and routes and every port is published.
  /// Error: the helper's own complaint, or the port that was taken.
  Result<Ok> wait_ready();

  pid_t pid() const { return child_.pid(); }

  /// For an owner that executes another program in its place (the monitor of a detached container): marks the helper's
  /// descriptors to stay open, and gives them. While that program holds them, and as the same process, the helper
  /// runs; it ends with the process. Errors: fcntl(2)'s.
  Result<std::vector<int>> keep_across_exec() const;

 private:
  NetworkHelper(NetworkTool tool, std::vector<PublishedPort> ports) : tool_(tool), ports_(std::move(ports)) {}
  Result<Ok> start_pasta(pid_t init, const NetworkOptions& options);
  Result<Ok> start_slirp4netns(pid_t init, const NetworkOptions& options);
  Result<Ok> publish_by_api(const PublishedPort& port);
  Error failure();

  NetworkTool tool_;
  std::vector<PublishedPort> ports_;
  std::unique_ptr<sys::TemporaryDir> api_folder_;
  Fd ready_;      // reading end; the helper writes when it is ready
  Fd complaint_;  // reading end of its stderr; kept open, so that the helper's later words are no SIGPIPE to it
  Fd exit_;       // writing end; slirp4netns ends when nobody holds it
  sys::Child child_;
};

/// --dns, --dns-search, --dns-option. Empty lists leave what the host has.
struct DnsOptions {
  std::vector<std::string> servers;
  std::vector<std::string> searches;  ///< "." alone: no search list
  std::vector<std::string> options;
};

/// The address at which pasta answers for a name server on the host's loopback, which the container cannot reach.
inline constexpr const char* kForwardedNameserver = "169.254.1.1";

/// The name servers a container should ask, from the host's resolv.conf. Pure. slirp4netns answers itself; with pasta
/// they are the host's own, those on its loopback replaced by kForwardedNameserver. No tool: the host's own.
std::vector<std::string> nameservers(std::string_view host_resolv_conf, std::optional<NetworkTool> tool);

/// The container's /etc/resolv.conf. Pure. See resolv.conf(5).
std::string make_resolv_conf(std::string_view host_resolv_conf, std::optional<NetworkTool> tool,
                             const DnsOptions& options);

/// One line of /etc/hosts.
struct HostsEntry {
  std::string address;
  std::vector<std::string> names;
  bool operator==(const HostsEntry&) const = default;
};

/// The container's /etc/hosts: localhost, the extra lines, then the container's own name (where there is one) with
/// its address. Pure.
std::string make_hosts(std::string_view hostname, std::string_view address, std::span<const HostsEntry> extra);

/// The host's own IPv4 address on the way out; nothing where there is no route. Sends nothing.
std::optional<std::string> probe_host_address();

/// The container's own IPv4 address. pasta gives it the host's. Pure.
std::optional<std::string> container_address(NetworkTool tool, const std::optional<std::string>& host_address);

/// The address for host.containers.internal. Nothing with pasta: the host's address is the container's own there.
/// Pure.
std::optional<std::string> host_gateway(NetworkTool tool, const std::optional<std::string>& host_address);

}  // namespace moss::engine
