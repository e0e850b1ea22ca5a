// Notes of what is not on the disk yet. See the header.
#include "unsynced.hh"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "layout.hh"
#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "moss/sys/host.hh"

namespace moss::engine {

namespace {

constexpr std::string_view kFolder = "/unsynced";

struct NoteName {
  std::string_view boot;
  std::string digest;
};

// "<boot id>.<algorithm>-<hex>.<random>": a digest's colon is no good in a file name for everybody.
NoteName parse(std::string_view name) {
  const std::vector<std::string_view> parts = split(name, '.');
  if (parts.size() != 3) return {};
  std::string digest(parts[1]);
  std::replace(digest.begin(), digest.end(), '-', ':');
  return {parts[0], std::move(digest)};
}

// Every name, and none where there is no such folder.
std::vector<std::string> notes(const std::string& store) {
  Result<std::vector<std::string>> names = sys::list_dir(cat(store, kFolder));
  return names.ok() ? std::move(names).value() : std::vector<std::string>();
}

}  // namespace

Result<UnsyncedNote> UnsyncedNote::write(const std::string& store, const std::string& manifest_digest) {
  std::string digest = manifest_digest;
  std::replace(digest.begin(), digest.end(), ':', '-');
  std::string name = cat(kFolder.substr(1), "/", sys::boot_id(), ".", digest, ".", sys::random_hex(6));
  const std::string folder = cat(store, kFolder);
  const std::string path = cat(store, "/", name);
  while (true) {
    if (::mkdir(folder.c_str(), 0700) != 0 && errno != EEXIST) return explain(sys_error("make ", folder), store);
    Result<Fd> file = sys::open_at(AT_FDCWD, path, O_RDONLY | O_CREAT | O_EXCL, 0600);
    // Somebody's background process has just removed the folder.
    if (!file.ok() && file.error().code() == ENOENT) continue;
    if (!file.ok()) return explain(file.error(), store);
    if (::flock(file->get(), LOCK_EX | LOCK_NB) != 0) return sys_error("lock ", path);
    UnsyncedNote note(store, std::move(name), std::move(*file));
    TRY(sync_folder(folder));
    TRY(sync_folder(store));
    return note;
  }
}

UnsyncedNote::~UnsyncedNote() {
  if (name_.empty()) return;
  ::unlink(cat(store_, "/", name_).c_str());
  ::rmdir(cat(store_, kFolder).c_str());
}

void UnsyncedNote::sync_in_background() {
  const std::string name = std::exchange(name_, {});
  const Fd note = std::move(file_);
  const Result<Fd> store = sys::open_at(AT_FDCWD, store_, O_RDONLY | O_DIRECTORY);
  // System calls only, since the caller may have had threads.
  const auto sync_and_forget = [store = store.ok() ? store->get() : -1, note = name.c_str()] {
    if (::syncfs(store) != 0) return;
    ::unlinkat(store, note, 0);
    ::unlinkat(store, kFolder.data() + 1, AT_REMOVEDIR);
  };
  if (store.ok() && sys::run_in_background({store->get(), note.get()}, sync_and_forget)) return;
  if (sync_filesystem(store_).ok()) ::unlink(cat(store_, "/", name).c_str());
}

std::set<std::string> lost_manifests(const std::string& store) {
  std::set<std::string> lost;
  const std::vector<std::string> names = notes(store);
  if (names.empty()) return lost;
  const std::string boot = sys::boot_id();
  for (const std::string& name : names) {
    NoteName note = parse(name);
    if (note.boot != boot) lost.insert(std::move(note.digest));
  }
  return lost;
}

Result<Ok> settle_unsynced(const std::string& store, const TreeRemover& remove) {
  const std::string boot = sys::boot_id();
  bool lost = false;
  for (const std::string& name : notes(store)) {
    if (parse(name).boot != boot) {
      lost = true;
      continue;
    }
    const std::string path = cat(store, kFolder, "/", name);
    const Result<Fd> file = sys::open_at(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW);
    // Locked: somebody sees to it.
    if (!file.ok() || ::flock(file->get(), LOCK_EX | LOCK_NB) != 0) continue;
    TRY(sync_filesystem(store));
    ::unlink(path.c_str());
  }
  if (lost) return drop_lost(store, remove);
  ::rmdir(cat(store, kFolder).c_str());
  return Ok{};
}

Result<Ok> drop_lost(const std::string& store, const TreeRemover& remove) {
  if (lost_manifests(store).empty()) return Ok{};
  const std::string boot = sys::boot_id();
  // Whoever comes second finds it done.
  const NameLock lock = TRY(NameLock::acquire(store, "settle"));
  TRY(edit_index(store, [](oci::Index&) { return Ok{}; }));
  TRY(collect_garbage(store, remove, Patience::wait));
  for (const std::string& name : notes(store)) {
    if (parse(name).boot != boot) ::unlink(cat(store, kFolder, "/", name).c_str());
  }
  ::rmdir(cat(store, kFolder).c_str());
  return Ok{};
}

}  // namespace moss::engine
