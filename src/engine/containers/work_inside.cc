// Work in a container's user namespace. See the header.
#include "src/engine/containers/work_inside.hh"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <optional>

#include "moss/engine/mounts.hh"
#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "moss/sys/pipe.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxErrorBytes = 64u << 10;

// A descriptor for each layer and folder on the way down.
void allow_many_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &limit);
}

// The same ids by the numbers they have here; nothing where not all have one.
std::optional<std::vector<IdRange>> renumbered(const std::vector<IdRange>& ranges, const std::vector<IdRange>& own) {
  std::vector<IdRange> out;
  for (IdRange range : ranges) {
    const auto holds = [&](const IdRange& one) {
      return range.outside >= one.outside && range.outside - one.outside < one.count &&
             range.count <= one.count - (range.outside - one.outside);
    };
    const auto one = std::find_if(own.begin(), own.end(), holds);
    if (one == own.end()) return std::nullopt;
    range.outside = range.outside - one->outside + one->inside;
    out.push_back(range);
  }
  return out;
}

// In `moss unshare` a container that was made outside has a map of ids that have other numbers there.
Result<IdMap> as_seen_here(const IdMap& map) {
  if (::getenv(kMountsVariable) == nullptr) return map;
  const std::vector<IdRange> own_uids = TRY(own_ranges("/proc/self/uid_map"));
  const std::vector<IdRange> own_gids = TRY(own_ranges("/proc/self/gid_map"));
  const std::optional<std::vector<IdRange>> uids = renumbered(map.uids, own_uids);
  const std::optional<std::vector<IdRange>> gids = renumbered(map.gids, own_gids);
  // One that was made in there has the numbers of there.
  if (!uids || !gids) return map;
  return IdMap{*uids, *gids};
}

}  // namespace

// "0 1000 1\n1 100000 65536\n": this process's own map, as it was made by `moss unshare`.
Result<std::vector<IdRange>> own_ranges(const char* file) {
  const std::string text = TRY(sys::read_kernel_file(file));
  std::vector<IdRange> ranges;
  for (const std::string_view line : split(text, '\n')) {
    std::vector<uint32_t> numbers;
    for (const std::string_view word : split(line, ' ')) {
      if (const auto number = parse_number<uint32_t>(trim(word))) numbers.push_back(*number);
    }
    if (numbers.size() == 3) ranges.push_back({.inside = numbers[0], .outside = numbers[1], .count = numbers[2]});
  }
  return ranges;
}

Result<Ok> work_inside(const IdMap& map, const std::function<Result<Ok>(int out)>& work,
                       const std::function<Result<Ok>(int in)>& take) {
  sys::Pipe data = TRY(sys::make_pipe());
  sys::Pipe complaint = TRY(sys::make_pipe());
  const IdMap map_here = TRY(as_seen_here(map));
  sys::Child child = TRY(sys::start_in_user_namespace(map_here, [&] {
    data.reading.reset();
    complaint.reading.reset();
    allow_many_files();
    const Result<Ok> done = work(data.writing.get());
    if (done.ok()) return 0;
    const std::string text = cat(done.error().code(), " ", done.error().message());
    (void)sys::write_all(complaint.writing.get(), text, "an error");
    return 1;
  }));
  data.writing.reset();
  complaint.writing.reset();
  const Result<Ok> taken = take(data.reading.get());
  // Who still writes and is not read any more ends by that.
  data.reading.reset();
  const std::string text = TRY(sys::read_stream(complaint.reading.get(), "an error", kMaxErrorBytes));
  const sys::Exit exit = TRY(child.wait());
  if (!text.empty()) {
    const auto [code, message] = cut(text, ' ');
    return Error(parse_number<int>(code).value_or(0), message.value_or(""));
  }
  if (!taken.ok()) return taken.error();
  if (!exit.ok()) return Error(0, "the process that reads the files ended with ", exit.shell_code());
  return Ok{};
}

FoldersInside::FoldersInside(std::vector<std::string> paths) : paths_(std::move(paths)) {
  for (const std::string& path : paths_) {
    Result<Fd> fd = sys::open_at(AT_FDCWD, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW);
    opened_.push_back(fd.ok() ? std::move(fd).value() : Fd());
  }
}

Result<MergedDir> FoldersInside::open() const {
  MergedDir dir;
  for (size_t i = 0; i < paths_.size(); ++i) {
    if (opened_[i]) {
      dir.emplace_back(::fcntl(opened_[i].get(), F_DUPFD_CLOEXEC, 3));
    } else {
      dir.push_back(TRY(sys::open_at(AT_FDCWD, paths_[i], O_RDONLY | O_DIRECTORY | O_NOFOLLOW)));
    }
    if (!dir.back()) return sys_error("open ", paths_[i]);
    // Nothing below it is seen, as in the mount.
    if (is_opaque(dir.back().get())) break;
  }
  return dir;
}

}  // namespace moss::engine
