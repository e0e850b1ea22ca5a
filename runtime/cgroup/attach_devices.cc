// The device filter's way into the kernel: bpf(2).
#include <linux/bpf.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string_view>

#include "runtime/cgroup/devices.hh"

namespace moss::runtime {

namespace {

// So that a later update finds its own filter among those of others (systemd attaches one too).
constexpr char kName[] = "moss_devices";

int bpf(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

uint64_t address(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

Fd load(const std::vector<bpf_insn>& program) {
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = address(program.data());
  attributes.insn_cnt = static_cast<uint32_t>(program.size());
  attributes.license = address("");
  std::memcpy(attributes.prog_name, kName, sizeof kName);
  return Fd(bpf(BPF_PROG_LOAD, attributes));
}

Result<Fd> load_device_filter(const std::vector<bpf_insn>& program) {
  Fd loaded = load(program);
  if (loaded || errno != EPERM) {
    if (!loaded) return sys_error("load the device filter");
    return loaded;
  }
  // Before Linux 5.11 a program counts as locked memory.
  rlimit before;
  const rlimit unlimited{RLIM_INFINITY, RLIM_INFINITY};
  if (::getrlimit(RLIMIT_MEMLOCK, &before) != 0 || ::setrlimit(RLIMIT_MEMLOCK, &unlimited) != 0) {
    return Error(EPERM, "load the device filter");
  }
  loaded = load(program);
  const int code = errno;
  ::setrlimit(RLIMIT_MEMLOCK, &before);
  if (!loaded) return Error(code, "load the device filter");
  return loaded;
}

// The filter of ours that is attached already, if there is one.
Fd attached_filter(int folder) {
  std::array<uint32_t, 64> ids{};
  bpf_attr query{};
  query.query.target_fd = static_cast<uint32_t>(folder);
  query.query.attach_type = BPF_CGROUP_DEVICE;
  query.query.prog_ids = address(ids.data());
  query.query.prog_cnt = ids.size();
  if (bpf(BPF_PROG_QUERY, query) != 0) return {};
  for (uint32_t i = 0; i < query.query.prog_cnt && i < ids.size(); ++i) {
    bpf_attr open{};
    open.prog_id = ids[i];
    Fd program(bpf(BPF_PROG_GET_FD_BY_ID, open));
    if (!program) continue;
    bpf_prog_info info{};
    bpf_attr ask{};
    ask.info.bpf_fd = static_cast<uint32_t>(program.get());
    ask.info.info_len = sizeof info;
    ask.info.info = address(&info);
    if (bpf(BPF_OBJ_GET_INFO_BY_FD, ask) == 0 && std::string_view(info.name) == kName) return program;
  }
  return {};
}

}  // namespace

Result<Ok> attach_device_filter(int folder, const std::vector<bpf_insn>& program, bool may_skip) {
  if (program.empty()) {
    const Fd old = attached_filter(folder);
    if (!old) return Ok{};
    bpf_attr detach{};
    detach.target_fd = static_cast<uint32_t>(folder);
    detach.attach_bpf_fd = static_cast<uint32_t>(old.get());
    detach.attach_type = BPF_CGROUP_DEVICE;
    if (bpf(BPF_PROG_DETACH, detach) != 0) return sys_error("take the device filter off");
    return Ok{};
  }
  Result<Fd> loaded = load_device_filter(program);
  if (!loaded.ok() && may_skip && loaded.error().code() == EPERM) return Ok{};
  const Fd filter = TRY(std::move(loaded));
  const Fd old = attached_filter(folder);
  bpf_attr attach{};
  attach.target_fd = static_cast<uint32_t>(folder);
  attach.attach_bpf_fd = static_cast<uint32_t>(filter.get());
  attach.attach_type = BPF_CGROUP_DEVICE;
  attach.attach_flags = BPF_F_ALLOW_MULTI;
  if (old) {
    attach.attach_flags |= BPF_F_REPLACE;
    attach.replace_bpf_fd = static_cast<uint32_t>(old.get());
  }
  if (bpf(BPF_PROG_ATTACH, attach) != 0) return sys_error("attach the device filter");
  return Ok{};
}

}  // namespace moss::runtime
