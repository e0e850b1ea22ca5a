// A cgroup's figures in the shape of runc's `events`.
//
// The names and what is left out when it is nought are those of runc's types/events.go: monitoring tools read them.
#include "moss/oci/cgroup.hh"

#include "json_table.hh"

namespace moss::oci {

namespace {

class EventWriter {
 public:
  std::string finish() && { return std::move(json_).finish(); }

  template <typename Body>
  void object(std::string_view name, const Body& body) {
    if (!name.empty()) json_.key(name);
    json_.open('{');
    body();
    json_.close('}');
  }
  void text(std::string_view name, std::string_view value) {
    json_.key(name);
    json_.text(value);
  }
  template <std::integral Number>
  void number(std::string_view name, Number value) {
    json_.key(name);
    json_.number(value);
  }
  template <std::integral Number>
  void number_unless_zero(std::string_view name, Number value) {
    if (value != 0) number(name, value);
  }
  template <std::integral Number>
  void numbers(std::string_view name, const std::vector<Number>& values) {
    if (values.empty()) return;
    json_.key(name);
    json_.open('[');
    for (const Number value : values) {
      json_.element();
      json_.number(value);
    }
    json_.close(']');
  }

  void null(std::string_view name) {
    json_.key(name);
    json_.null();
  }

  void pressure(const std::optional<Pressure>& pressure) {
    if (!pressure) return;
    const auto line = [&](std::string_view name, const PressureLine& values) {
      object(name, [&] {
        average("avg10", values.avg10);
        average("avg60", values.avg60);
        average("avg300", values.avg300);
        number("total", values.total_us);
      });
    };
    object("psi", [&] {
      line("some", pressure->some);
      line("full", pressure->full);
    });
  }

  void cpu(const CpuStats& cpu) {
    object("cpu", [&] {
      object("usage", [&] {
        number_unless_zero("total", cpu.total_ns);
        numbers("percpu", cpu.percpu_ns);
        numbers("percpu_kernel", cpu.percpu_kernel_ns);
        numbers("percpu_user", cpu.percpu_user_ns);
        number("kernel", cpu.kernel_ns);
        number("user", cpu.user_ns);
      });
      object("throttling", [&] {
        number_unless_zero("periods", cpu.periods);
        number_unless_zero("throttledPeriods", cpu.throttled_periods);
        number_unless_zero("throttledTime", cpu.throttled_ns);
      });
      object("burst", [&] {
        number_unless_zero("burstsPeriods", cpu.bursts);
        number_unless_zero("burstTime", cpu.burst_ns);
      });
      pressure(cpu.pressure);
    });
  }

  void cpuset(const CpusetStats& cpuset) {
    object("cpuset", [&] {
      numbers("cpus", cpuset.cpus);
      number("cpu_exclusive", cpuset.cpu_exclusive);
      numbers("mems", cpuset.mems);
      number("mem_hardwall", cpuset.mem_hardwall);
      number("mem_exclusive", cpuset.mem_exclusive);
      number("memory_migrate", cpuset.memory_migrate);
      number("memory_spread_page", cpuset.memory_spread_page);
      number("memory_spread_slab", cpuset.memory_spread_slab);
      number("memory_pressure", cpuset.memory_pressure);
      number("sched_load_balance", cpuset.sched_load_balance);
      number("sched_relax_domain_level", cpuset.sched_relax_domain_level);
    });
  }

  void memory(const MemoryStats& memory) {
    const auto use = [&](std::string_view name, const MemoryUse& values) {
      object(name, [&] {
        number("limit", values.limit);
        number_unless_zero("usage", values.usage);
        number_unless_zero("max", values.max_usage);
        number("failcnt", values.failcnt);
      });
    };
    object("memory", [&] {
      number_unless_zero("cache", memory.cache);
      use("usage", memory.usage);
      use("swap", memory.swap);
      use("kernel", memory.kernel);
      use("kernelTCP", memory.kernel_tcp);
      if (!memory.raw.empty()) {
        object("raw", [&] {
          for (const auto& [name, value] : memory.raw) number(name, value);
        });
      }
      pressure(memory.pressure);
    });
  }

  void block_io(const BlockIoStats& io) {
    object("blkio", [&] {
      entries("ioServiceBytesRecursive", io.service_bytes);
      entries("ioServicedRecursive", io.serviced);
      entries("ioQueueRecursive", io.queued);
      entries("ioServiceTimeRecursive", io.service_time);
      entries("ioWaitTimeRecursive", io.wait_time);
      entries("ioMergedRecursive", io.merged);
      entries("ioTimeRecursive", io.time);
      entries("sectorsRecursive", io.sectors);
      pressure(io.pressure);
    });
  }

  void hugepages(const std::map<std::string, HugepageStats>& sizes) {
    object("hugetlb", [&] {
      for (const auto& [size, values] : sizes) {
        object(size, [&] {
          number_unless_zero("usage", values.usage);
          number_unless_zero("max", values.max_usage);
          number("failcnt", values.failcnt);
        });
      }
    });
  }

 private:
  void average(std::string_view name, uint64_t hundredths) {
    json_.key(name);
    json_.hundredths(hundredths);
  }

  void entries(std::string_view name, const std::vector<BlockIoEntry>& list) {
    if (list.empty()) return;
    json_.key(name);
    json_.open('[');
    for (const BlockIoEntry& entry : list) {
      json_.element();
      object("", [&] {
        number_unless_zero("major", entry.major);
        number_unless_zero("minor", entry.minor);
        if (!entry.op.empty()) text("op", entry.op);
        number_unless_zero("value", entry.value);
      });
    }
    json_.close(']');
  }

  JsonWriter json_{JsonWriter::Style::compact};
};

}  // namespace

std::string encode_stats_event(std::string_view id, const CgroupStats& stats) {
  EventWriter out;
  out.object("", [&] {
    out.text("type", "stats");
    out.text("id", id);
    out.object("data", [&] {
      out.cpu(stats.cpu);
      out.cpuset(stats.cpuset);
      out.memory(stats.memory);
      out.object("pids", [&] {
        out.number_unless_zero("current", stats.pids.current);
        out.number_unless_zero("limit", stats.pids.limit);
      });
      out.block_io(stats.block_io);
      out.hugepages(stats.hugepages);
      // Always there in runc's. moss looks at neither.
      out.object("intel_rdt", [] {});
      out.null("network_interfaces");
    });
  });
  return std::move(out).finish();
}

std::string encode_oom_event(std::string_view id) {
  EventWriter out;
  out.object("", [&] {
    out.text("type", "oom");
    out.text("id", id);
  });
  return std::move(out).finish();
}

}  // namespace moss::oci
