#include "layer_fixture.hh"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "moss/sys/ids.hh"

namespace moss::test {

namespace {

std::string describe_entry(const std::string& full, const std::string& path, const struct stat& s) {
  char mode[8];
  std::snprintf(mode, sizeof mode, "%o", s.st_mode & 07777u);
  if (S_ISDIR(s.st_mode)) {
    char value[16];
    const ssize_t size = ::lgetxattr(full.c_str(), "user.overlay.opaque", value, sizeof value);
    const std::string opaque = size > 0 ? cat(" opaque=", std::string_view(value, static_cast<size_t>(size))) : "";
    return cat(mode, ' ', path, '/', opaque);
  }
  if (S_ISLNK(s.st_mode)) {
    char target[4096];
    const ssize_t size = ::readlink(full.c_str(), target, sizeof target);
    return cat(path, " -> ", std::string_view(target, static_cast<size_t>(std::max<ssize_t>(size, 0))));
  }
  if (S_ISFIFO(s.st_mode)) return cat("fifo ", path);
  if (S_ISCHR(s.st_mode)) return cat(s.st_rdev == 0 ? "whiteout " : "device ", path);
  if (s.st_size > 200) return cat(mode, ' ', path, ": ", s.st_size, " bytes");
  if (s.st_size == 0) return cat(mode, ' ', path);
  const Result<std::string> text = sys::read_file(full, 200);
  return cat(mode, ' ', path, ": ", text.ok() ? *text : text.error().to_string());
}

// Everything about the victim that an attack could change, but for the time it was looked at.
std::string snapshot(const std::string& base) {
  std::string text;
  std::filesystem::recursive_directory_iterator entry(base);
  for (; entry != std::filesystem::recursive_directory_iterator(); ++entry) {
    if (entry.depth() == 0 && entry->path().filename().string().starts_with("layer")) {
      entry.disable_recursion_pending();
      continue;
    }
    struct stat s{};
    if (::lstat(entry->path().c_str(), &s) != 0) continue;
    text += cat(entry->path().string(), ' ', s.st_mode, ' ', s.st_uid, ' ', s.st_nlink, ' ', s.st_mtim.tv_sec, '.',
                s.st_mtim.tv_nsec, ' ', s.st_ctim.tv_sec, '.', s.st_ctim.tv_nsec, ' ', s.st_size, '\n');
  }
  return text;
}

void write_text(const std::string& path, std::string_view text) {
  const Result<Ok> written = sys::create_file(path, text);
  ASSERT_TRUE(written.ok()) << written.error().to_string();
}

constexpr char kSeparator = '\x1f';

}  // namespace

std::string describe_tree(const std::string& root) {
  std::string text;
  // Depth first, by a list of what is still to do: a tree may be deeper than a stack.
  std::vector<std::string> pending{""};
  while (!pending.empty()) {
    const std::string path = std::move(pending.back());
    pending.pop_back();
    const std::string full = path.empty() ? root : cat(root, "/", path);
    struct stat s{};
    EXPECT_EQ(::lstat(full.c_str(), &s), 0) << full;
    text += describe_entry(full, path, s);
    if (s.st_uid != 0 || s.st_gid != 0) text += cat(" owner ", s.st_uid, ':', s.st_gid);
    text += '\n';
    if (!S_ISDIR(s.st_mode)) continue;
    Result<std::vector<std::string>> names = sys::list_dir(full);
    if (!names.ok()) {
      ADD_FAILURE() << names.error().to_string();
      continue;
    }
    std::sort(names->rbegin(), names->rend());
    for (const std::string& name : *names) pending.push_back(path.empty() ? name : cat(path, "/", name));
  }
  return text;
}

IdMap LayerTest::single_id() {
  return {.uids = {{.inside = 0, .outside = ::geteuid(), .count = 1}},
          .gids = {{.inside = 0, .outside = ::getegid(), .count = 1}}};
}

std::optional<IdMap> LayerTest::many_ids() {
  // Real root may map any range.
  const IdRange any{.outside = 100'000, .count = 65'536};
  sys::SubordinateIds grants{.uids = {any}, .gids = {any}};
  if (::geteuid() != 0) {
    Result<sys::SubordinateIds> read = sys::read_subordinate_ids(sys::user_name(::geteuid()), ::geteuid());
    if (!read.ok() || read->empty() || !sys::find_program("newuidmap")) return std::nullopt;
    grants = *read;
  }
  return IdMap{.uids = sys::id_ranges(::geteuid(), grants.uids), .gids = sys::id_ranges(::getegid(), grants.gids)};
}

void LayerTest::SetUp() {
  base_ = cat(testing::TempDir(), "moss-unpack-", sys::random_hex(8));
  map_ = single_id();
  ASSERT_TRUE(sys::make_dirs(victim() + "/dir", 0755).ok());
  write_text(victim() + "/keep", "untouched");
  write_text(victim() + "/dir/keep", "untouched");
}

void LayerTest::TearDown() {
  // Some files may belong to subordinate ids, and only their namespace's root removes those.
  if (map_ != single_id()) {
    run_inside([&] { return sys::remove_tree(destination_).ok() ? 0 : 1; });
  }
  const Result<Ok> removed = sys::remove_tree(base_);
  EXPECT_TRUE(removed.ok()) << removed.error().to_string();
}

int LayerTest::run_inside(const std::function<int()>& body) {
  const Result<int> code = sys::run_in_user_namespace(map_, body);
  if (!code.ok()) {
    ADD_FAILURE() << code.error().to_string();
    return -1;
  }
  return *code;
}

Outcome LayerTest::unpack(const std::string& layer, engine::UnpackOptions options) {
  return unpack_with(single_id(), layer, options);
}

Outcome LayerTest::unpack_with(const IdMap& map, const std::string& layer, engine::UnpackOptions options) {
  map_ = map;
  destination_ = cat(base_, "/layer", layers_++);
  EXPECT_EQ(::mkdir(destination_.c_str(), 0755), 0);
  const std::string before = snapshot(base_);

  const Fd input(::memfd_create("layer", MFD_CLOEXEC));
  const Fd report(::memfd_create("report", MFD_CLOEXEC));
  EXPECT_TRUE(sys::write_all(input.get(), layer, "layer").ok());
  ::lseek(input.get(), 0, SEEK_SET);
  run_inside([&] {
    // A layer must not make its unpacker wait.
    ::alarm(20);
    const Result<engine::UnpackedLayer> result = engine::unpack_layer(input.get(), destination_, options);
    std::string text = result.ok() ? "" : result.error().to_string();
    text += kSeparator;
    text += describe_tree(destination_) + kSeparator;
    if (result.ok()) {
      for (const std::string& warning : result->warnings) text += warning + "\n";
      text += kSeparator;
      text += cat(result->diff_id, kSeparator, result->entries, kSeparator, result->opaque_root ? '1' : '0');
    }
    return sys::write_all(report.get(), text, "report").ok() ? 0 : 1;
  });
  EXPECT_EQ(snapshot(base_), before) << "the victim was changed";

  std::string text(static_cast<size_t>(std::max<off_t>(::lseek(report.get(), 0, SEEK_END), 0)), '\0');
  EXPECT_EQ(::pread(report.get(), text.data(), text.size(), 0), static_cast<ssize_t>(text.size()));
  const std::vector<std::string_view> parts = split(text, kSeparator);
  Outcome outcome;
  if (parts.size() < 3) {
    ADD_FAILURE() << "no report: " << text;
    return outcome;
  }
  outcome.error = parts[0];
  outcome.tree = parts[1];
  outcome.warnings = parts[2];
  if (parts.size() == 6) {
    outcome.diff_id = parts[3];
    outcome.entries = parse_number<uint64_t>(parts[4]).value_or(0);
    outcome.opaque_root = parts[5] == "1";
  }
  return outcome;
}

}  // namespace moss::test
