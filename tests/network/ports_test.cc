// -p: what it may say, and which host ports can be had.
#include <arpa/inet.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>

#include "moss/engine/network.hh"

namespace moss::engine {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<PublishedPort> parsed(std::string_view text) {
  const auto ports = parse_publish(text);
  EXPECT_TRUE(ports.ok()) << (ports.ok() ? "" : ports.error().to_string());
  return ports.ok() ? *ports : std::vector<PublishedPort>{};
}

std::string complaint(std::string_view text) {
  const auto ports = parse_publish(text);
  return ports.ok() ? "no error" : ports.error().to_string();
}

std::string complaint(std::vector<PublishedPort> ports, NetworkTool tool) {
  const auto chosen = choose_host_ports(std::move(ports), tool);
  return chosen.ok() ? "no error" : chosen.error().to_string();
}

// A socket on the host's loopback, and its port.
struct Taken {
  Fd fd;
  uint16_t port = 0;
};

Taken take_port(int type, uint32_t address = INADDR_LOOPBACK) {
  Taken taken{Fd(::socket(AF_INET, type | SOCK_CLOEXEC, 0))};
  sockaddr_in name{.sin_family = AF_INET};
  name.sin_addr.s_addr = htonl(address);
  socklen_t length = sizeof name;
  EXPECT_EQ(::bind(taken.fd.get(), reinterpret_cast<sockaddr*>(&name), length), 0);
  EXPECT_TRUE(type != SOCK_STREAM || ::listen(taken.fd.get(), 1) == 0);
  EXPECT_EQ(::getsockname(taken.fd.get(), reinterpret_cast<sockaddr*>(&name), &length), 0);
  taken.port = ntohs(name.sin_port);
  return taken;
}

constexpr auto kTcp = PublishedPort::tcp;
constexpr auto kUdp = PublishedPort::udp;

TEST(Publish, HostPortGoesToContainerPort) {
  EXPECT_THAT(parsed("8080:80"), ElementsAre(PublishedPort{"", 8080, 80, kTcp}));
}

TEST(Publish, ContainerPortAloneLeavesTheHostPortOpen) {
  EXPECT_THAT(parsed("80"), ElementsAre(PublishedPort{"", 0, 80, kTcp}));
  EXPECT_THAT(parsed(":80"), ElementsAre(PublishedPort{"", 0, 80, kTcp}));
  EXPECT_THAT(parsed("127.0.0.1::80/udp"), ElementsAre(PublishedPort{"127.0.0.1", 0, 80, kUdp}));
}

TEST(Publish, AddressLimitsItToOneInterface) {
  EXPECT_THAT(parsed("127.0.0.1:8080:80/udp"), ElementsAre(PublishedPort{"127.0.0.1", 8080, 80, kUdp}));
  EXPECT_THAT(parsed("[::1]:8080:80"), ElementsAre(PublishedPort{"::1", 8080, 80, kTcp}));
  EXPECT_THAT(parsed("[::1]::80"), ElementsAre(PublishedPort{"::1", 0, 80, kTcp}));
}

TEST(Publish, RangeIsOneEntryAPort) {
  EXPECT_THAT(parsed("8000-8002:80-82/UDP"),
              ElementsAre(PublishedPort{"", 8000, 80, kUdp}, PublishedPort{"", 8001, 81, kUdp},
                          PublishedPort{"", 8002, 82, kUdp}));
  EXPECT_THAT(parsed("80-81"), ElementsAre(PublishedPort{"", 0, 80, kTcp}, PublishedPort{"", 0, 81, kTcp}));
}

TEST(Publish, BothProtocolsAtOnce) {
  EXPECT_THAT(parsed("53:53/tcp,udp"), ElementsAre(PublishedPort{"", 53, 53, kTcp}, PublishedPort{"", 53, 53, kUdp}));
}

TEST(Publish, HighestPortIsTheEnd) {
  EXPECT_THAT(parsed("65535:65535"), ElementsAre(PublishedPort{"", 65535, 65535, kTcp}));
  EXPECT_EQ(complaint("65536:80"), "publish \"65536:80\": host port 65536 is out of range (1-65535)");
  EXPECT_EQ(complaint("80-70000"), "publish \"80-70000\": container port 70000 is out of range (1-65535)");
  EXPECT_EQ(complaint("0:80"), "publish \"0:80\": host port 0 is out of range (1-65535)");
}

TEST(Publish, SaysWhatIsWrong) {
  EXPECT_EQ(complaint("80/sctp"),
            "publish \"80/sctp\": sctp is not supported by user-mode networking; publish tcp or udp");
  EXPECT_EQ(complaint("80/icmp"), "publish \"80/icmp\": unknown protocol \"icmp\"; use tcp or udp");
  EXPECT_EQ(complaint("80/"), "publish \"80/\": no protocol after \"/\"; use tcp or udp");
  EXPECT_EQ(complaint(""), "publish \"\": no container port");
  EXPECT_EQ(complaint("8080:"),
            "publish \"8080:\": container port \"\" is neither a number nor a range like 8000-8010");
  EXPECT_EQ(complaint("8o:80"), "publish \"8o:80\": host port \"8o\" is neither a number nor a range like 8000-8010");
  EXPECT_EQ(complaint("82-80"), "publish \"82-80\": container port range 82-80 runs backwards");
  EXPECT_EQ(complaint("8000-8001:80-82"),
            "publish \"8000-8001:80-82\": the ranges differ: 2 host ports for 3 container ports");
  EXPECT_EQ(complaint("localhost:8080:80"), "publish \"localhost:8080:80\": \"localhost\" is no IP address");
  EXPECT_EQ(complaint("::1:8080:80"),
            "publish \"::1:8080:80\": too many colons; an IPv6 address stands in brackets: [::1]:8080:80");
  EXPECT_EQ(complaint("[::1:8080"), "publish \"[::1:8080\": expected [IPv6 address]:hostPort:containerPort");
  EXPECT_EQ(complaint("[1.2.3.4]:80:80"), "publish \"[1.2.3.4]:80:80\": \"1.2.3.4\" is no IPv6 address");
  EXPECT_EQ(complaint("8\n:80"),
            "publish \"8\\x0a:80\": host port \"8\\x0a\" is neither a number nor a range like 8000-8010");
}

TEST(Publish, IsShownAsPsShowsIt) {
  EXPECT_EQ(to_string(PublishedPort{"", 8080, 80, kTcp}), "0.0.0.0:8080->80/tcp");
  EXPECT_EQ(to_string(PublishedPort{"127.0.0.1", 53, 5353, kUdp}), "127.0.0.1:53->5353/udp");
  EXPECT_EQ(to_string(PublishedPort{"::1", 8080, 80, kTcp}), "[::1]:8080->80/tcp");
}

class HostPorts : public testing::TestWithParam<NetworkTool> {};

TEST_P(HostPorts, PicksFreeOnesAndNeverOneTwice) {
  std::vector<PublishedPort> asked(50, PublishedPort{"127.0.0.1", 0, 80, kTcp});
  const auto chosen = choose_host_ports(asked, GetParam());
  ASSERT_TRUE(chosen.ok()) << chosen.error().to_string();
  std::vector<uint16_t> numbers;
  for (const PublishedPort& port : *chosen) numbers.push_back(port.host_port);
  std::sort(numbers.begin(), numbers.end());
  ASSERT_EQ(numbers.size(), 50U);
  EXPECT_EQ(std::adjacent_find(numbers.begin(), numbers.end()), numbers.end());
  EXPECT_GE(numbers.front(), 1024);
}

TEST_P(HostPorts, TakenPortIsNamed) {
  for (const auto& [type, protocol, name] :
       {std::tuple{SOCK_STREAM, kTcp, "/tcp"}, std::tuple{SOCK_DGRAM, kUdp, "/udp"}}) {
    const Taken taken = take_port(type);
    const std::string rest = cat(taken.port, name, ": address already in use; choose another host port");
    EXPECT_EQ(complaint({{"127.0.0.1", taken.port, 80, protocol}}, GetParam()), cat("publish 127.0.0.1:", rest));
    EXPECT_EQ(complaint({{"", taken.port, 80, protocol}}, GetParam()), cat("publish ", rest));
  }
}

TEST_P(HostPorts, LowPortsAreExplained) {
  const auto start = sys::read_kernel_file("/proc/sys/net/ipv4/ip_unprivileged_port_start");
  ASSERT_TRUE(start.ok());
  const unsigned first = parse_number<unsigned>(trim(*start)).value();
  if (first < 2) GTEST_SKIP() << "net.ipv4.ip_unprivileged_port_start is " << first << ": no port is closed here";
  if (::geteuid() == 0 && GetParam() == NetworkTool::slirp4netns) {
    EXPECT_EQ(complaint({{"127.0.0.77", 1, 80, kTcp}}, GetParam()), "no error");
    return;
  }
  EXPECT_EQ(complaint({{"127.0.0.77", 1, 80, kTcp}}, GetParam()),
            cat("publish 127.0.0.77:1/tcp: ports below ", first, " are closed to users; choose another host port, or ",
                "open them: sudo sysctl net.ipv4.ip_unprivileged_port_start=1"));
}

TEST_P(HostPorts, AddressOfAnotherHostIsRefused) {
  EXPECT_EQ(complaint({{"198.51.100.7", 18080, 80, kTcp}}, GetParam()),
            "publish 198.51.100.7:18080/tcp: this host has no address 198.51.100.7");
}

TEST_P(HostPorts, SamePortTwiceIsRefusedUnlessItIsTheSameEntry) {
  const Taken spare = take_port(SOCK_STREAM);
  const uint16_t port = spare.port;
  EXPECT_THAT(complaint({{"", port, 80, kTcp}, {"127.0.0.1", port, 81, kTcp}}, GetParam()),
              HasSubstr("asked for twice, for container ports 80 and 81"));
  EXPECT_THAT(complaint({{"127.0.0.1", port, 80, kTcp}, {"0.0.0.0", port, 80, kTcp}}, GetParam()),
              HasSubstr("asked for twice"));
  const PublishedPort udp{"127.0.0.1", port, 80, kUdp};
  const auto chosen = choose_host_ports({udp, udp}, GetParam());
  ASSERT_TRUE(chosen.ok()) << chosen.error().to_string();
  EXPECT_THAT(*chosen, ElementsAre(udp));
}

TEST_P(HostPorts, OneNumberServesBothProtocolsAndOtherAddresses) {
  const uint16_t port = take_port(SOCK_STREAM).port;  // let go at once
  const std::vector<PublishedPort> ports = {
      {"127.0.0.1", port, 80, kTcp}, {"127.0.0.1", port, 80, kUdp}, {"127.0.0.2", port, 80, kTcp}};
  const auto chosen = choose_host_ports(ports, GetParam());
  ASSERT_TRUE(chosen.ok()) << chosen.error().to_string();
  EXPECT_EQ(*chosen, ports);
}

TEST_P(HostPorts, PickedUdpPortIsTheContainersWhereFree) {
  const Taken taken = take_port(SOCK_DGRAM);
  const uint16_t free = take_port(SOCK_DGRAM).port;  // let go at once
  const auto chosen = choose_host_ports({{"127.0.0.1", 0, free, kUdp}, {"127.0.0.1", 0, taken.port, kUdp}}, GetParam());
  ASSERT_TRUE(chosen.ok()) << chosen.error().to_string();
  EXPECT_EQ((*chosen)[0].host_port, free);
  EXPECT_NE((*chosen)[1].host_port, taken.port);
}

INSTANTIATE_TEST_SUITE_P(Tool, HostPorts, testing::Values(NetworkTool::pasta, NetworkTool::slirp4netns),
                         [](const auto& tool) { return to_string(tool.param); });

TEST(PublishNotices, TellWhereUdpIsNotAnswered) {
  const std::vector<PublishedPort> ports = {{"", 8080, 80, kTcp}, {"", 5353, 5353, kUdp}, {"", 5354, 53, kUdp}};
  EXPECT_THAT(publish_notices(ports, NetworkTool::pasta, false),
              ElementsAre("publish 5354/udp: older pasta does not answer programs on this host here; "
                          "publish 53:53/udp"));
  EXPECT_THAT(publish_notices({ports[0], ports[1]}, NetworkTool::slirp4netns, true),
              ElementsAre("publish 5353/udp: slirp4netns does not answer senders on 127.0.0.1; send to another address "
                          "of this host, or install passt"));
}

TEST(PublishNotices, TellThatAnOldPastaWaitsForTheClient) {
  EXPECT_THAT(publish_notices({{"", 2222, 22, kTcp}}, NetworkTool::pasta, true),
              ElementsAre("publish 2222/tcp: with this old pasta a server that speaks first (SSH, SMTP, MySQL) never "
                          "answers clients beyond 127.0.0.1; sudo apt install slirp4netns"));
}

TEST(Slirp4netnsPorts, AreOnIpv4Only) {
  EXPECT_EQ(complaint({{"::1", 18080, 80, kTcp}}, NetworkTool::slirp4netns),
            "publish [::1]:18080/tcp: slirp4netns publishes on IPv4 addresses only; install passt, or leave out ::1");
}

TEST(NetworkToolChoice, PrefersPastaWhereItCanWork) {
  NetworkTools tools{.pasta = "/usr/bin/pasta", .slirp4netns = "/usr/bin/slirp4netns", .has_default_route = true};
  EXPECT_EQ(choose_network_tool(tools).value(), NetworkTool::pasta);
  tools.pasta_keeps_silent = true;
  EXPECT_EQ(choose_network_tool(tools).value(), NetworkTool::slirp4netns);
  tools.pasta_keeps_silent = false;
  tools.has_default_route = false;
  EXPECT_EQ(choose_network_tool(tools).value(), NetworkTool::slirp4netns);
  tools.slirp4netns.reset();
  EXPECT_EQ(choose_network_tool(tools).value(), NetworkTool::pasta);
  EXPECT_EQ(choose_network_tool({.slirp4netns = "/usr/bin/slirp4netns", .has_default_route = true}).value(),
            NetworkTool::slirp4netns);
}

TEST(NetworkToolChoice, KnowsTheVersionsOfPastaThatKeepSilent) {
  EXPECT_TRUE(keeps_silent("pasta unknown version"));
  EXPECT_TRUE(keeps_silent("pasta 2024_02_20.1e6f92b"));
  EXPECT_TRUE(keeps_silent("pasta 0^20240220.g1e6f92b-1.el9.x86_64"));
  EXPECT_TRUE(keeps_silent(""));
  EXPECT_FALSE(keeps_silent("pasta 2024_03_26.4988e2b"));
  EXPECT_FALSE(keeps_silent("pasta 0.0~git20250503.587980c-2"));
  EXPECT_TRUE(pasta_keeps_silent("/nonexistent/pasta"));
}

TEST(NetworkToolChoice, NamesThePackageToInstall) {
  EXPECT_EQ(choose_network_tool({}).error().to_string(),
            "no user-mode network: neither pasta nor slirp4netns is installed; sudo apt install passt, "
            "or use --network none");
}

TEST(NetworkToolChoice, PassesOnWhyTheTunDeviceIsClosed) {
  EXPECT_EQ(choose_network_tool({.pasta = "/usr/bin/pasta", .tun_problem = "closed"}).error().to_string(),
            "no user-mode network: closed, or use --network none");
}

// True on every machine: either the device opens for us, or the probe says in its name why not.
TEST(NetworkToolChoice, ProbeAgreesWithTheTunDevice) {
  const bool opens = sys::open_at(AT_FDCWD, "/dev/net/tun", O_RDWR).ok();
  const NetworkTools tools = probe_network_tools();
  EXPECT_EQ(tools.tun_problem.empty(), opens);
  if (!opens) {
    EXPECT_THAT(tools.tun_problem, testing::AllOf(HasSubstr("/dev/net/tun"), HasSubstr("sudo ")));
  }
}

}  // namespace
}  // namespace moss::engine
