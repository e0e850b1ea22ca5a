// Taking away everything that moss keeps for a user.
#include "moss/engine/housekeeping.hh"
#include "moss/sys/file.hh"

namespace moss::engine {

Result<Ok> reset(const Paths& paths, const IdMap& map) {
  for (const Container& container : TRY(list_containers(paths))) {
    TRY(remove_container(paths, container, true, 0));
  }
  ImageStore store(paths.data);
  TRY(store.destroy(map));
  TRY(sys::remove_tree(paths.run));
  return Ok{};
}

}  // namespace moss::engine
