// Moving interfaces, by rtnetlink(7).
//
// An interface that changes its network namespace loses its addresses and goes down, so they are read first and added
// again inside. All of it is done by one child that has a socket in either namespace: first here, then, after setns(2),
// there. The interface gets a number that is free there, by which it is found whatever the kernel makes of "eth%d".
#include "runtime/launch/net_devices.hh"

#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sched.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "moss/sys/pipe.hh"

namespace moss::runtime {

namespace {

// One request: a header, the family's own struct, attributes.
class Request {
 public:
  template <typename Body>
  Request(uint16_t type, uint16_t flags, const Body& body) {
    data_.resize(NLMSG_HDRLEN + NLMSG_ALIGN(sizeof body));
    auto* header = reinterpret_cast<nlmsghdr*>(data_.data());
    header->nlmsg_type = type;
    header->nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST);
    ::memcpy(data_.data() + NLMSG_HDRLEN, &body, sizeof body);
  }

  void add(uint16_t type, const void* value, size_t size) {
    const size_t at = data_.size();
    data_.resize(at + RTA_ALIGN(RTA_LENGTH(size)));
    const rtattr attribute{.rta_len = static_cast<uint16_t>(RTA_LENGTH(size)), .rta_type = type};
    ::memcpy(data_.data() + at, &attribute, sizeof attribute);
    if (size != 0) ::memcpy(data_.data() + at + RTA_LENGTH(0), value, size);
  }
  void add(uint16_t type, int32_t value) { add(type, &value, sizeof value); }
  void add(uint16_t type, const std::string& text) { add(type, text.c_str(), text.size() + 1); }

  const std::vector<char>& finish() {
    reinterpret_cast<nlmsghdr*>(data_.data())->nlmsg_len = static_cast<uint32_t>(data_.size());
    return data_;
  }

 private:
  std::vector<char> data_;
};

Result<Fd> open_route_socket() {
  Fd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket) return sys_error("open a netlink socket");
  return socket;
}

// Sends a request and hands each message of the answer to `each`; ends at the acknowledgement or the end of a dump.
template <typename Each>
Result<Ok> ask(int socket, Request& request, Each each) {
  const std::vector<char>& data = request.finish();
  if (::send(socket, data.data(), data.size(), 0) < 0) return sys_error("speak to the kernel's network");
  std::vector<char> buffer(size_t{64} << 10);
  while (true) {
    const ssize_t got = ::recv(socket, buffer.data(), buffer.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error("listen to the kernel's network");
    auto left = static_cast<unsigned>(got);
    for (auto* message = reinterpret_cast<nlmsghdr*>(buffer.data()); NLMSG_OK(message, left);
         message = NLMSG_NEXT(message, left)) {
      if (message->nlmsg_type == NLMSG_DONE) return Ok{};
      if (message->nlmsg_type == NLMSG_ERROR) {
        const int code = -reinterpret_cast<nlmsgerr*>(NLMSG_DATA(message))->error;
        if (code != 0) return Error(code, "the kernel's network");
        return Ok{};
      }
      each(message);
    }
  }
}

Result<Ok> tell(int socket, Request& request) {
  return ask(socket, request, [](const nlmsghdr*) {});
}

// An address worth keeping, as the kernel described it.
struct Address {
  ifaddrmsg head;
  std::vector<std::pair<uint16_t, std::string>> attributes;
};

Result<std::vector<Address>> global_addresses(int socket, int index) {
  std::vector<Address> found;
  Request request(RTM_GETADDR, NLM_F_DUMP, ifaddrmsg{});
  TRY(ask(socket, request, [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWADDR) return;
    const auto* head = static_cast<const ifaddrmsg*>(NLMSG_DATA(message));
    if (static_cast<int>(head->ifa_index) != index || head->ifa_scope != RT_SCOPE_UNIVERSE) return;
    Address address{*head, {}};
    uint32_t flags = head->ifa_flags;
    auto length = static_cast<unsigned>(IFA_PAYLOAD(message));
    for (const rtattr* one = IFA_RTA(head); RTA_OK(one, length); one = RTA_NEXT(one, length)) {
      const std::string value(static_cast<const char*>(RTA_DATA(one)), RTA_PAYLOAD(one));
      if (one->rta_type == IFA_FLAGS && value.size() == sizeof flags) ::memcpy(&flags, value.data(), sizeof flags);
      const bool kept = one->rta_type == IFA_LOCAL || one->rta_type == IFA_ADDRESS || one->rta_type == IFA_BROADCAST;
      if (kept) address.attributes.emplace_back(one->rta_type, value);
    }
    // What DHCP or the router gave for a while is for them to give again.
    if ((flags & IFA_F_PERMANENT) != 0) found.push_back(std::move(address));
  }));
  return found;
}

Result<int> free_index(int socket) {
  int highest = 0;
  Request request(RTM_GETLINK, NLM_F_DUMP, ifinfomsg{});
  TRY(ask(socket, request, [&](const nlmsghdr* message) {
    if (message->nlmsg_type != RTM_NEWLINK) return;
    highest = std::max(highest, static_cast<const ifinfomsg*>(NLMSG_DATA(message))->ifi_index);
  }));
  return highest + 1;
}

Result<Ok> set_link_state(int socket, int index, bool up) {
  Request request(
      RTM_NEWLINK, NLM_F_ACK,
      ifinfomsg{.ifi_index = index, .ifi_flags = up ? static_cast<unsigned>(IFF_UP) : 0, .ifi_change = IFF_UP});
  return tell(socket, request);
}

struct Known {
  int index;
  std::vector<Address> addresses;
};

Result<Known> look_at(int here, const std::string& name) {
  const unsigned index = ::if_nametoindex(name.c_str());
  if (index == 0) return sys_error("find it on the host");
  return Known{static_cast<int>(index), TRY(global_addresses(here, static_cast<int>(index)))};
}

Result<Ok> move_one(int here, int there, int names, const NetDeviceMove& device, const Known& known) {
  const int index = TRY(free_index(there));
  TRY(set_link_state(here, known.index, false));
  Request move(RTM_NEWLINK, NLM_F_ACK, ifinfomsg{.ifi_index = known.index});
  move.add(IFLA_NET_NS_FD, names);
  move.add(IFLA_IFNAME, device.name);
  move.add(IFLA_NEW_IFINDEX, index);
  TRY(tell(here, move).context("move it to ", printable(device.name)));
  for (const Address& address : known.addresses) {
    ifaddrmsg head = address.head;
    head.ifa_index = static_cast<uint32_t>(index);
    Request add(RTM_NEWADDR, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, head);
    for (const auto& [type, value] : address.attributes) add.add(type, value.data(), value.size());
    TRY(tell(there, add).context("give it its addresses again"));
  }
  return set_link_state(there, index, true).context("set it up");
}

Result<Ok> move_all(const std::vector<NetDeviceMove>& devices, int names) {
  const Fd here = TRY(open_route_socket());
  std::vector<Known> known;
  for (const NetDeviceMove& device : devices) {
    known.push_back(
        TRY(look_at(here.get(), device.host_name).context("linux.netDevices.", printable(device.host_name))));
  }
  if (::setns(names, CLONE_NEWNET) != 0) return sys_error("linux.netDevices: enter the container's network");
  const Fd there = TRY(open_route_socket());
  for (size_t i = 0; i < devices.size(); ++i) {
    TRY(move_one(here.get(), there.get(), names, devices[i], known[i])
            .context("linux.netDevices.", printable(devices[i].host_name)));
  }
  return Ok{};
}

}  // namespace

Result<Ok> move_net_devices(const std::vector<NetDeviceMove>& devices, pid_t init) {
  if (devices.empty()) return Ok{};
  const Fd names = TRY(sys::open_at(AT_FDCWD, cat("/proc/", init, "/ns/net"), O_RDONLY));
  auto [reading, writing] = TRY(sys::make_pipe());
  sys::Child mover = TRY(sys::fork_child([&] {
    const Result<Ok> moved = move_all(devices, names.get());
    if (moved.ok()) return 0;
    (void)sys::write_all(writing.get(), moved.error().to_string(), "pipe");
    return 1;
  }));
  writing.reset();
  char complaint[1024];
  const ssize_t got = ::read(reading.get(), complaint, sizeof complaint);
  const sys::Exit exit = TRY(mover.wait());
  if (exit.ok()) return Ok{};
  return Error(0, std::string_view(complaint, got > 0 ? static_cast<size_t>(got) : 0));
}

}  // namespace moss::runtime
