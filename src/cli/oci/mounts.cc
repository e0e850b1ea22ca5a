// mounts: more of them, or fewer, in a running container. As crun has it.
#include "moss/sys/file.hh"
#include "src/cli/oci/verb.hh"

namespace moss::cli {

namespace {
constexpr size_t kMaxMountsBytes = 16u << 20;
}

int oci_mounts(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  Arguments arguments;
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    const std::vector<std::string>& given = arguments.words();
    if (given.size() != 3) return Error(0, "mounts takes add or remove, the container's id and a file");
    const std::string& what = given[0];
    if (what != "add" && what != "remove") return Error(0, "mounts: add or remove, not \"", printable(what), "\"");
    const runtime::Container container = TRY(find_container(globals, given[1]));
    const std::string json = TRY(sys::read_file(given[2], kMaxMountsBytes));
    std::vector<oci::Mount> mounts = TRY(oci::decode_mounts(json).context(given[2]));
    if (what == "add") {
      TRY(runtime::add_mounts(container, std::move(mounts)).context("add mounts to container \"", container.id, "\""));
    } else {
      TRY(runtime::remove_mounts(container, mounts).context("remove mounts of container \"", container.id, "\""));
    }
    return 0;
  });
}

}  // namespace moss::cli
