// /etc/resolv.conf and /etc/hosts of a container.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "moss/engine/network.hh"

namespace moss::engine {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kResolved =
    "# written by systemd-resolved\nnameserver 127.0.0.53\noptions edns0 trust-ad\nsearch example.org example.net\n";

TEST(Nameservers, Slirp4netnsAnswersItself) {
  EXPECT_THAT(nameservers(kResolved, NetworkTool::slirp4netns), ElementsAre("10.0.2.3"));
}

TEST(Nameservers, PastaKeepsTheHostsOwn) {
  EXPECT_THAT(nameservers("nameserver 192.0.2.53\n nameserver\t2001:db8::53 \n", NetworkTool::pasta),
              ElementsAre("192.0.2.53", "2001:db8::53"));
}

TEST(Nameservers, PastaForwardsThoseOnTheHostsLoopback) {
  EXPECT_THAT(nameservers(kResolved, NetworkTool::pasta), ElementsAre("169.254.1.1"));
  EXPECT_THAT(nameservers("nameserver 127.0.0.1\nnameserver ::1\nnameserver 192.0.2.53\n", NetworkTool::pasta),
              ElementsAre("169.254.1.1", "192.0.2.53"));
}

TEST(Nameservers, HostsInterfacesAreNotTheContainers) {
  EXPECT_THAT(nameservers("nameserver fe80::1%eth0\n", NetworkTool::pasta), IsEmpty());
}

TEST(Nameservers, HostNetworkKeepsEverything) {
  EXPECT_THAT(nameservers("nameserver 127.0.0.53\nnameserver fe80::1%eth0\n", std::nullopt),
              ElementsAre("127.0.0.53", "fe80::1%eth0"));
}

TEST(Nameservers, CommentsAndOtherLinesAreNone) {
  EXPECT_THAT(nameservers("#nameserver 192.0.2.1\n; nameserver 192.0.2.2\nnameserver\nsortlist 1.2.3.4", std::nullopt),
              IsEmpty());
}

TEST(ResolvConf, FollowsTheHost) {
  EXPECT_EQ(make_resolv_conf(kResolved, NetworkTool::slirp4netns, {}),
            "search example.org example.net\nnameserver 10.0.2.3\noptions edns0 trust-ad\n");
}

TEST(ResolvConf, OptionsReplaceTheHosts) {
  EXPECT_EQ(make_resolv_conf(kResolved, NetworkTool::pasta,
                             {.servers = {"192.0.2.1", "192.0.2.2"}, .searches = {"corp"}, .options = {"ndots:2"}}),
            "search corp\nnameserver 192.0.2.1\nnameserver 192.0.2.2\noptions ndots:2\n");
}

TEST(ResolvConf, DotEndsTheSearchList) {
  EXPECT_EQ(make_resolv_conf("domain example.org\nnameserver 192.0.2.1\n", NetworkTool::pasta, {.searches = {"."}}),
            "nameserver 192.0.2.1\n");
}

TEST(Hosts, NameTheContainerAndItsExtras) {
  const HostsEntry extra[] = {{"192.0.2.7", {"db", "db.local"}}, {"2001:db8::7", {"cache"}}};
  EXPECT_EQ(make_hosts("web", "10.0.2.100", extra),
            "127.0.0.1\tlocalhost\n::1\tlocalhost\n192.0.2.7\tdb db.local\n2001:db8::7\tcache\n10.0.2.100\tweb\n");
}

TEST(Hosts, WithoutAnAddressNameNobody) {
  EXPECT_EQ(make_hosts("web", "", {}), "127.0.0.1\tlocalhost\n::1\tlocalhost\n");
}

TEST(Addresses, AreTheToolsOrTheHosts) {
  EXPECT_EQ(container_address(NetworkTool::slirp4netns, "192.0.2.2"), "10.0.2.100");
  EXPECT_EQ(container_address(NetworkTool::pasta, "192.0.2.2"), "192.0.2.2");
  EXPECT_EQ(host_gateway(NetworkTool::slirp4netns, "192.0.2.2"), "192.0.2.2");
  EXPECT_EQ(host_gateway(NetworkTool::pasta, "192.0.2.2"), std::nullopt);
}

}  // namespace
}  // namespace moss::engine
