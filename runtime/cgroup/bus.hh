// libsystemd's D-Bus client, as owned values. Private to runtime/cgroup. See sd-bus(3).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "moss/runtime/cgroup.hh"

struct sd_bus;
struct sd_bus_message;

namespace moss::runtime {

struct BusLibrary;

/// A method call on systemd's manager object, being written.
class BusCall {
 public:
  BusCall(BusCall&& other) noexcept;
  BusCall& operator=(BusCall&&) = delete;
  ~BusCall();

  Result<Ok> text(const char* value) { return basic('s', value); }
  Result<Ok> boolean(bool value);
  Result<Ok> numbers(const std::vector<uint32_t>& values);
  Result<Ok> open(char container, const char* contents);
  Result<Ok> close();
  /// "(sv)": a property with its value.
  Result<Ok> property(const UnitProperty& property);

 private:
  friend class Bus;
  BusCall(const BusLibrary& library, sd_bus_message* message) : library_(&library), message_(message) {}
  Result<Ok> basic(char type, const void* value);
  Result<Ok> value(char type, const std::string& text);

  const BusLibrary* library_;
  sd_bus_message* message_;
};

/// A connection to a manager.
class Bus {
 public:
  /// Errors: no libsystemd; nobody listens there, with what to set or start.
  static Result<Bus> connect(bool user_bus);
  Bus(Bus&& other) noexcept;
  Bus& operator=(Bus&&) = delete;
  ~Bus();

  Result<BusCall> call(const char* method);
  /// Sends it and gives the answer's first text, which is a job's path where one was started. The error's code is
  /// ENOENT where systemd knows no such unit.
  Result<std::string> send(const BusCall& call);
  /// From now on the ends of jobs are noticed. Before the call that starts one.
  Result<Ok> watch_jobs();
  /// Waits for a job; gives its result, "done" if it went well.
  Result<std::string> await_job(const std::string& job);

 private:
  Bus(const BusLibrary& library, sd_bus* bus) : library_(&library), bus_(bus) {}

  const BusLibrary* library_;
  sd_bus* bus_;
  /// Jobs that ended: path and result. Filled by the library's callback, so it has an address of its own.
  std::unique_ptr<std::vector<std::pair<std::string, std::string>>> ended_;
};

}  // namespace moss::runtime
