// The image store from the command line, for tests that need a process of its own (to kill, to run beside another) and
// for measurements:
//
//   images_tool STORE MAP pull|load|import|find|prepare|list|rmi|gc|time ARGUMENTS
//
// MAP is "single" or "subids": the map containers of this user would have.
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "moss/engine/archives.hh"
#include "moss/engine/pull.hh"
#include "moss/engine/store.hh"
#include "moss/sys/ids.hh"

namespace moss::engine {

namespace {

int fail(const Error& error) {
  ::fprintf(stderr, "Error: %s\n", error.to_string().c_str());
  return error.exit_code().value_or(125);
}

IdMap make_map(const std::string& kind) {
  IdMap single{{{0, ::geteuid(), 1}}, {{0, ::getegid(), 1}}};
  if (kind == "single") return single;
  const auto grants = sys::read_subordinate_ids(sys::user_name(::geteuid()), ::geteuid());
  if (!grants.ok() || grants->empty()) return single;
  return {sys::id_ranges(::geteuid(), grants->uids), sys::id_ranges(::getegid(), grants->gids)};
}

double now_us() {
  timespec now;
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

void print(const Image& image) {
  ::printf("%s", image.id.c_str());
  for (const std::string& name : image.names) ::printf(" %s", name.c_str());
  ::printf("\n");
}

int time_lookups(ImageStore& store, const std::string& name, const IdMap& map) {
  constexpr int kTimes = 2000;
  std::vector<double> times;
  for (int i = 0; i < kTimes; ++i) {
    const double start = now_us();
    const auto image = store.find(name);
    if (!image.ok()) return fail(image.error());
    if (!*image) return 1;
    const auto lower = store.prepare_layers(**image, map);
    if (!lower.ok()) return fail(lower.error());
    times.push_back(now_us() - start);
  }
  std::sort(times.begin(), times.end());
  ::printf("find and prepare: first quartile %.1f us, median %.1f us\n", times[kTimes / 4], times[kTimes / 2]);
  return 0;
}

int run(const std::vector<std::string>& arguments) {
  if (arguments.size() < 3) return 2;
  ImageStore store(arguments[0]);
  const IdMap map = make_map(arguments[1]);
  const std::string& verb = arguments[2];
  const std::string first = arguments.size() > 3 ? arguments[3] : "";
  const bool verbose = ::getenv("VERBOSE") != nullptr;
  const ProgressCallback progress = [&](const Progress& p) {
    static constexpr const char* kPhases[] = {"trying",    "config", "exists",  "waiting", "downloading",
                                              "unpacking", "done",   "storing", "warning"};
    if (verbose) {
      ::fprintf(stderr, "%s %s %s %lld/%lld\n", kPhases[static_cast<int>(p.phase)], p.name.c_str(), p.digest.c_str(),
                static_cast<long long>(p.done), static_cast<long long>(p.total));
    }
  };
  if (verb == "pull") {
    PullOptions options{.map = map, .progress = progress};
    for (size_t i = 4; i < arguments.size(); ++i) {
      if (arguments[i] == "--creds")
        options.access.credentials = arguments[++i];
      else if (arguments[i] == "--tls-verify=false")
        options.access.tls_verify = false;
      else if (arguments[i] == "--retries")
        options.retries = ::atoi(arguments[++i].c_str());
      else if (arguments[i] == "--platform") {
        const auto platform = parse_platform(arguments[++i]);
        if (!platform.ok()) return fail(platform.error());
        options.platform = *platform;
      }
    }
    const auto image = pull(store, first, options);
    if (!image.ok()) return fail(image.error());
    print(*image);
  } else if (verb == "load") {
    const auto images = load(store, first, {.map = map, .progress = progress});
    if (!images.ok()) return fail(images.error());
    for (const Image& image : *images) print(image);
  } else if (verb == "import") {
    const auto image = import_rootfs(store, first, arguments.size() > 4 ? arguments[4] : "",
                                     {.load = {.map = map, .progress = progress}});
    if (!image.ok()) return fail(image.error());
    print(*image);
  } else if (verb == "find" || verb == "inspect" || verb == "prepare" || verb == "tag") {
    const auto image = store.find(first);
    if (!image.ok()) return fail(image.error());
    if (!*image) return fail(Error(0, first, ": image not known").with_exit_code(1));
    if (verb == "inspect") ::printf("%s\n", inspect_image_json(store, **image).c_str());
    if (verb == "find") print(**image);
    if (verb == "tag") {
      const auto tagged = store.tag(**image, arguments.at(4));
      if (!tagged.ok()) return fail(tagged.error());
    }
    if (verb == "prepare") {
      const auto lower = store.prepare_layers(**image, map);
      if (!lower.ok()) return fail(lower.error());
      for (const std::string& folder : *lower) ::printf("%s\n", folder.c_str());
    }
  } else if (verb == "list") {
    std::vector<Error> damaged;
    const auto images = store.list(&damaged);
    if (!images.ok()) return fail(images.error());
    for (const Image& image : *images) print(image);
    for (const Error& error : damaged) return fail(error);
  } else if (verb == "rmi") {
    const auto removed = store.remove(first, {.force = arguments.size() > 4, .map = map});
    if (!removed.ok()) return fail(removed.error());
    for (const std::string& name : removed->untagged) ::printf("Untagged: %s\n", name.c_str());
    for (const std::string& id : removed->deleted) ::printf("Deleted: %s\n", id.c_str());
  } else if (verb == "gc") {
    const auto collected = store.collect_garbage(map);
    if (!collected.ok()) return fail(collected.error());
  } else if (verb == "time") {
    return time_lookups(store, first, map);
  } else {
    return 2;
  }
  return 0;
}

}  // namespace

}  // namespace moss::engine

int main(int argc, char** argv) { return moss::engine::run(std::vector<std::string>(argv + 1, argv + argc)); }
