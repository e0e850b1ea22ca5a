// libsystemd's D-Bus client, as owned values.
#include "runtime/cgroup/bus.hh"

#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include "moss/sys/dynamic_library.hh"

struct sd_bus_slot;

namespace moss::runtime {

// sd-bus.h is not needed to build moss; these are its declarations, as far as they are used.
namespace {
struct BusError {
  const char* name = nullptr;
  const char* message = nullptr;
  int need_free = 0;
};
using Handler = int(sd_bus_message*, void*, BusError*);
}  // namespace

struct BusLibrary {
  int (*open_user)(sd_bus**);
  int (*open_system)(sd_bus**);
  int (*make)(sd_bus**);
  int (*set_address)(sd_bus*, const char*);
  int (*set_bus_client)(sd_bus*, int);
  int (*start)(sd_bus*);
  sd_bus* (*flush_close_unref)(sd_bus*);
  int (*match_signal)(sd_bus*, sd_bus_slot**, const char* sender, const char* path, const char* interface,
                      const char* member, Handler*, void*);
  int (*new_method_call)(sd_bus*, sd_bus_message**, const char* destination, const char* path, const char* interface,
                         const char* member);
  int (*call)(sd_bus*, sd_bus_message*, uint64_t timeout_us, BusError*, sd_bus_message**);
  int (*process)(sd_bus*, sd_bus_message**);
  int (*wait)(sd_bus*, uint64_t timeout_us);
  int (*append_basic)(sd_bus_message*, char, const void*);
  int (*open_container)(sd_bus_message*, char, const char*);
  int (*close_container)(sd_bus_message*);
  int (*read_basic)(sd_bus_message*, char, void*);
  sd_bus_message* (*unref)(sd_bus_message*);
  void (*error_free)(BusError*);
};

namespace {

constexpr char kService[] = "org.freedesktop.systemd1";
constexpr char kObject[] = "/org/freedesktop/systemd1";
constexpr char kManager[] = "org.freedesktop.systemd1.Manager";
constexpr uint64_t kTimeoutUs = 30'000'000;

template <typename Function>
Result<Ok> find(const sys::DynamicLibrary& library, const char* name, Function*& function) {
  function = TRY(library.function<Function>(name));
  return Ok{};
}

Result<BusLibrary> load() {
  const sys::DynamicLibrary library = TRY(sys::DynamicLibrary::open("libsystemd.so.0", "libsystemd0"));
  BusLibrary bus{};
  TRY(find(library, "sd_bus_open_user", bus.open_user));
  TRY(find(library, "sd_bus_open_system", bus.open_system));
  TRY(find(library, "sd_bus_new", bus.make));
  TRY(find(library, "sd_bus_set_address", bus.set_address));
  TRY(find(library, "sd_bus_set_bus_client", bus.set_bus_client));
  TRY(find(library, "sd_bus_start", bus.start));
  TRY(find(library, "sd_bus_flush_close_unref", bus.flush_close_unref));
  TRY(find(library, "sd_bus_match_signal", bus.match_signal));
  TRY(find(library, "sd_bus_message_new_method_call", bus.new_method_call));
  TRY(find(library, "sd_bus_call", bus.call));
  TRY(find(library, "sd_bus_process", bus.process));
  TRY(find(library, "sd_bus_wait", bus.wait));
  TRY(find(library, "sd_bus_message_append_basic", bus.append_basic));
  TRY(find(library, "sd_bus_message_open_container", bus.open_container));
  TRY(find(library, "sd_bus_message_close_container", bus.close_container));
  TRY(find(library, "sd_bus_message_read_basic", bus.read_basic));
  TRY(find(library, "sd_bus_message_unref", bus.unref));
  TRY(find(library, "sd_bus_error_free", bus.error_free));
  return bus;
}

Result<const BusLibrary*> bus_library() {
  static const Result<BusLibrary> library = load();
  if (!library.ok()) return Error(library.error());
  return &*library;
}

// libsystemd's functions return -errno.
Result<Ok> check(int result, std::string_view what) {
  if (result < 0) return Error(-result, what);
  return Ok{};
}

// With neither variable set, as in a bare environment, the user's bus is still where logind puts it.
int open_user_bus(const BusLibrary& library, sd_bus** bus) {
  const int opened = library.open_user(bus);
  if (opened >= 0) return opened;
  const std::string address = cat("unix:path=/run/user/", ::geteuid(), "/bus");
  if (library.make(bus) < 0) return opened;
  if (library.set_address(*bus, address.c_str()) >= 0 && library.set_bus_client(*bus, 1) >= 0 &&
      library.start(*bus) >= 0) {
    return 0;
  }
  *bus = library.flush_close_unref(*bus);
  return opened;
}

int64_t now_us() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000 + now.tv_nsec / 1000;
}

}  // namespace

// ---- calls ----

BusCall::BusCall(BusCall&& other) noexcept
    : library_(other.library_), message_(std::exchange(other.message_, nullptr)) {}

BusCall::~BusCall() {
  if (message_ != nullptr) library_->unref(message_);
}

Result<Ok> BusCall::basic(char type, const void* value) {
  return check(library_->append_basic(message_, type, value), "write to systemd");
}

Result<Ok> BusCall::boolean(bool value) {
  const int number = value ? 1 : 0;
  return basic('b', &number);
}

Result<Ok> BusCall::numbers(const std::vector<uint32_t>& values) {
  TRY(open('a', "u"));
  for (const uint32_t value : values) TRY(basic('u', &value));
  return close();
}

Result<Ok> BusCall::open(char container, const char* contents) {
  return check(library_->open_container(message_, container, contents), "write to systemd");
}

Result<Ok> BusCall::close() { return check(library_->close_container(message_), "write to systemd"); }

Result<Ok> BusCall::value(char type, const std::string& text) {
  const auto number = [&]<typename Number>(Number) -> Result<Ok> {
    const auto parsed = parse_number<Number>(text);
    if (!parsed) return Error(0, "\"", printable(text), "\" is no number of type ", type);
    return basic(type, &*parsed);
  };
  switch (type) {
    case 's':
      return basic('s', text.c_str());
    case 'b':
      return boolean(text == "true");
    case 'y':
      return number(uint8_t{});
    case 'n':
      return number(int16_t{});
    case 'q':
      return number(uint16_t{});
    case 'i':
      return number(int32_t{});
    case 'u':
      return number(uint32_t{});
    case 'x':
      return number(int64_t{});
    case 't':
      return number(uint64_t{});
    case 'd': {
      const double parsed = ::strtod(text.c_str(), nullptr);
      return basic('d', &parsed);
    }
    default:
      return Error(0, "a value of type ", type, " is not known here");
  }
}

Result<Ok> BusCall::property(const UnitProperty& property) {
  TRY(open('r', "sv"));
  TRY(text(property.name.c_str()));
  TRY(open('v', property.signature.c_str()));
  if (property.signature.size() == 1) {
    TRY(value(property.signature[0], property.values.at(0)));
  } else if (property.signature == "a(ss)") {
    TRY(open('a', "(ss)"));
    for (size_t i = 0; i + 1 < property.values.size(); i += 2) {
      TRY(open('r', "ss"));
      TRY(text(property.values[i].c_str()));
      TRY(text(property.values[i + 1].c_str()));
      TRY(close());
    }
    TRY(close());
  } else {
    TRY(open('a', property.signature.c_str() + 1));
    for (const std::string& element : property.values) TRY(value(property.signature[1], element));
    TRY(close());
  }
  TRY(close());
  return close();
}

// ---- connection ----

Result<Bus> Bus::connect(bool user_bus) {
  const BusLibrary* library = TRY(bus_library());
  sd_bus* bus = nullptr;
  const int opened = user_bus ? open_user_bus(*library, &bus) : library->open_system(&bus);
  if (opened >= 0) return Bus(*library, bus);
  if (user_bus) {
    return Error(
        -opened,
        "connect to the user's systemd (is XDG_RUNTIME_DIR or DBUS_SESSION_BUS_ADDRESS set, and dbus-user-session "
        "installed? loginctl enable-linger keeps it running)");
  }
  return Error(-opened, "connect to systemd over the system's bus");
}

Bus::Bus(Bus&& other) noexcept
    : library_(other.library_), bus_(std::exchange(other.bus_, nullptr)), ended_(std::move(other.ended_)) {}

Bus::~Bus() {
  if (bus_ != nullptr) library_->flush_close_unref(bus_);
}

Result<BusCall> Bus::call(const char* method) {
  sd_bus_message* message = nullptr;
  TRY(check(library_->new_method_call(bus_, &message, kService, kObject, kManager, method), "write to systemd"));
  return BusCall(*library_, message);
}

Result<std::string> Bus::send(const BusCall& call) {
  BusError error;
  sd_bus_message* reply = nullptr;
  const int sent = library_->call(bus_, call.message_, kTimeoutUs, &error, &reply);
  if (sent < 0) {
    const std::string_view name = error.name != nullptr ? error.name : "";
    const bool unknown = name == "org.freedesktop.systemd1.NoSuchUnit";
    // systemd's own words say more than the errno that they are turned into.
    Error failure = error.message != nullptr ? Error(0, std::string_view(error.message)) : Error(-sent, "no answer");
    if (unknown) failure = Error(ENOENT, std::string_view(error.message != nullptr ? error.message : "no such unit"));
    library_->error_free(&error);
    return failure;
  }
  const char* first = nullptr;
  std::string text;
  if (library_->read_basic(reply, 'o', static_cast<void*>(&first)) > 0 && first != nullptr) text = first;
  library_->unref(reply);
  return text;
}

Result<Ok> Bus::watch_jobs() {
  ended_ = std::make_unique<std::vector<std::pair<std::string, std::string>>>();
  // JobRemoved(u id, o job, s unit, s result). The table of functions outlives every connection.
  static const BusLibrary* const library = library_;
  Handler* const note = [](sd_bus_message* message, void* list, BusError*) {
    uint32_t id = 0;
    const char* job = nullptr;
    const char* unit = nullptr;
    const char* result = nullptr;
    if (library->read_basic(message, 'u', &id) > 0 && library->read_basic(message, 'o', static_cast<void*>(&job)) > 0 &&
        library->read_basic(message, 's', static_cast<void*>(&unit)) > 0 &&
        library->read_basic(message, 's', static_cast<void*>(&result)) > 0) {
      static_cast<std::vector<std::pair<std::string, std::string>>*>(list)->emplace_back(job, result);
    }
    return 0;
  };
  TRY(check(library_->match_signal(bus_, nullptr, kService, kObject, kManager, "JobRemoved", note, ended_.get()),
            "listen to systemd"));
  // It speaks of jobs only while somebody has asked it to.
  const BusCall subscribe = TRY(call("Subscribe"));
  TRY(send(subscribe).context("listen to systemd"));
  return Ok{};
}

Result<std::string> Bus::await_job(const std::string& job) {
  const int64_t end = now_us() + static_cast<int64_t>(kTimeoutUs);
  while (true) {
    for (const auto& [path, result] : *ended_) {
      if (path == job) return result;
    }
    const int processed = library_->process(bus_, nullptr);
    TRY(check(processed, "listen to systemd"));
    if (processed > 0) continue;
    const int64_t left = end - now_us();
    if (left <= 0) return Error(ETIMEDOUT, "wait for systemd");
    const int waited = library_->wait(bus_, static_cast<uint64_t>(left));
    if (waited != -EINTR) TRY(check(waited, "listen to systemd"));
  }
}

}  // namespace moss::runtime
