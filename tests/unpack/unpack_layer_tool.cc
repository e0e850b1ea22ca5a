// unpack_layer FILE FOLDER [ids|single|self]: one layer, for measurements and for tests by other programs.
//
// `ids` maps the caller's subordinate ids, `single` only the caller, `self` makes no user namespace.
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <string>

#include "moss/engine/unpack.hh"
#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"

int main(int argc, char** argv) {
  using namespace moss;
  if (argc < 3) {
    std::fputs("usage: unpack_layer_tool FILE FOLDER [ids|single|self]\n", stderr);
    return 2;
  }
  const std::string mode = argc > 3 ? argv[3] : "ids";
  const auto unpack = [&] {
    const auto start = std::chrono::steady_clock::now();
    Result<Fd> input = sys::open_at(AT_FDCWD, argv[1], O_RDONLY);
    if (!input.ok()) {
      std::fprintf(stderr, "%s\n", input.error().to_string().c_str());
      return 1;
    }
    engine::UnpackOptions options;
    options.single_id = mode != "ids";
    options.max_ratio = 0;
    const Result<engine::UnpackedLayer> layer = engine::unpack_layer(input->get(), argv[2], options);
    if (!layer.ok()) {
      std::fprintf(stderr, "%s\n", layer.error().to_string().c_str());
      return 1;
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    std::printf("%s %llu entries %llu bytes %.3f s %.0f MB/s\n", layer->diff_id.c_str(),
                static_cast<unsigned long long>(layer->entries), static_cast<unsigned long long>(layer->bytes), seconds,
                static_cast<double>(layer->bytes) / 1e6 / seconds);
    for (const std::string& warning : layer->warnings) std::printf("warning: %s\n", warning.c_str());
    std::fflush(stdout);
    return 0;
  };
  if (mode == "self") return unpack();
  IdMap map{.uids = {{.inside = 0, .outside = ::geteuid(), .count = 1}},
            .gids = {{.inside = 0, .outside = ::getegid(), .count = 1}}};
  if (mode == "ids") {
    const Result<sys::SubordinateIds> grants = sys::read_subordinate_ids(sys::user_name(::geteuid()), ::geteuid());
    if (!grants.ok()) return 1;
    map.uids = sys::id_ranges(::geteuid(), grants->uids);
    map.gids = sys::id_ranges(::getegid(), grants->gids);
  }
  const Result<int> code = sys::run_in_user_namespace(map, unpack);
  if (!code.ok()) std::fprintf(stderr, "%s\n", code.error().to_string().c_str());
  return code.ok() ? *code : 1;
}
