// Looking at a whole store: the index, documents, blobs, unpacked layers, and what is left over. Repairing what was
// found is repair.cc's.
//
// A layer's folder is proven by unpacking its blob once more, beside it, and comparing the two: so there is only one
// reading of a tar, whatever whiteouts, hard links and strange owners are in it.
#include "check.hh"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>

#include "compare_trees.hh"
#include "ingest.hh"
#include "lists.hh"
#include "moss/sys/file.hh"
#include "moss/sys/host.hh"
#include "moss/sys/ids.hh"
#include "moss/sys/pipe.hh"
#include "summaries.hh"
#include "unsynced.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxDifferences = 10;

class Check {
 public:
  Check(const ImageStore& store, const CheckOptions& options) : store_(store.path()), options_(options) {}

  Result<Ok> look();
  const Findings& findings() const { return found_; }
  const std::optional<Staging>& staging() const { return staging_; }
  CheckReport report;

 private:
  template <typename... Parts>
  void say(const Parts&... parts) {
    if (options_.say) options_.say(cat(parts...));
  }
  template <typename... Parts>
  void damaged(const Parts&... parts) {
    ++report.damaged;
    say(parts...);
  }
  template <typename... Parts>
  void left_over(const Parts&... parts) {
    ++report.left_over;
    found_.left_over = true;
    say(parts...);
  }

  Result<Ok> look_at_index();
  void look_at_entry(const oci::Descriptor& entry);
  void look_at_list(const oci::Descriptor& list);
  Result<Ok> look_at_blobs();
  Result<Ok> look_at_layers();
  Result<Ok> look_at_layer(const std::string& folder, const ImageLayer& layer);
  Result<Ok> compare_layer(const std::string& folder, const ImageLayer& layer);
  void look_at_summaries();
  Result<Ok> look_for_unnamed();
  void judge_unnamed(const std::string& path);
  Result<Ok> look_for_left_over();

  struct Fresh {
    std::string folder;  // in staging; empty where it could not be unpacked
    std::string error;
    int64_t made_at = 0;  // seconds since 1970, or a little earlier
    UnpackedLayer layer;
  };
  Result<Fresh> unpack_fresh(const ImageLayer& layer, const IdMap& map);

  const std::string store_;
  const CheckOptions& options_;
  Findings found_;
  std::vector<oci::Descriptor> entries_;
  std::map<std::string, ImageLayer> layers_;  // by the hex digits of the diff id
  std::optional<Staging> staging_;
  size_t next_ = 0;
};

Result<Ok> Check::look() {
  if (!sys::exists(store_ + "/index.json") && !sys::exists(store_ + "/blobs")) return Ok{};
  // Nobody deletes meanwhile, and nobody adds what no image names yet; where somebody does just now, what is unnamed
  // cannot be judged.
  TRY(check_layout_version(store_));
  const Fd users = TRY(hold_folder(store_, Hold::shared));
  std::optional<Fd> adders;
  if (sys::exists(store_ + "/blobs")) adders = TRY(try_hold_folder(store_ + "/blobs", Hold::alone));
  TRY(look_at_index());
  TRY(look_at_blobs());
  if (adders) {
    TRY(look_for_unnamed());
  } else {
    say("somebody is adding images; what no image names was not looked at");
  }
  TRY(look_for_left_over());
  adders.reset();
  TRY(look_at_layers());
  look_at_summaries();
  return Ok{};
}

Result<Ok> Check::look_at_index() {
  const Result<std::optional<std::string>> layout = sys::read_file_if_exists(store_ + "/oci-layout", 4096);
  if (!layout.ok() || !*layout || (*layout)->find("\"imageLayoutVersion\"") == std::string::npos) {
    found_.layout_missing = true;
    damaged("oci-layout is missing or damaged: other programs do not take this for an image layout");
  }
  const Result<oci::Index> index = read_index(store_);
  if (!index.ok()) {
    // A store that is closed to the caller is not a damaged one.
    if (index.error().code() == EACCES) return index.error();
    found_.index_unreadable = true;
    damaged(index.error().to_string());
    return Ok{};
  }
  entries_ = index->manifests;
  for (const oci::Descriptor& entry : entries_) {
    const bool again = std::any_of(found_.images.begin(), found_.images.end(),
                                   [&](const Image& image) { return image.manifest_digest == entry.digest; }) ||
                       std::any_of(found_.broken_images.begin(), found_.broken_images.end(),
                                   [&](const BrokenImage& image) { return image.manifest_digest == entry.digest; });
    if (!again && is_list(entry.media_type)) look_at_list(entry);
    if (!again && !is_list(entry.media_type)) look_at_entry(entry);
  }
  report.images = found_.images.size() + found_.broken_images.size();
  return Ok{};
}

// A list and all its images that are here.
void Check::look_at_list(const oci::Descriptor& list) {
  const Result<std::string> text = read_list_text(store_, list);
  const Result<oci::Index> index = text.ok() ? oci::decode_index(*text) : Result<oci::Index>(text.error());
  if (!index.ok()) {
    const std::string words = cat("list ", entry_name(list), " (", list.digest, ")");
    found_.broken_images.push_back({"", list.digest, words});
    found_.broken_blobs.insert(list.digest);
    return damaged(cat(words, ": ", index.error().to_string()));
  }
  for (oci::Descriptor entry : index->manifests) {
    const Result<oci::Digest> digest = oci::Digest::parse(entry.digest);
    const bool here = digest.ok() && sys::exists(blob_path(store_, *digest));
    const bool known = std::any_of(found_.images.begin(), found_.images.end(),
                                   [&](const Image& image) { return image.manifest_digest == entry.digest; });
    if (!here || known || is_list(entry.media_type)) continue;
    entry.annotations[std::string(kRefName)] = entry_name(list);
    look_at_entry(entry);
  }
}

void Check::look_at_entry(const oci::Descriptor& entry) {
  const std::string name = entry_name(entry);
  const std::string words = cat(name.empty() ? "<none>" : name, " (manifest ", entry.digest, ")");
  const auto broken = [&](const std::string& digest, const std::string& fault) {
    found_.broken_images.push_back({"", entry.digest, words});
    if (!digest.empty()) found_.broken_blobs.insert(digest);
    damaged("image ", words, ": ", fault);
  };
  // Documents are small: they are hashed whether it is quick or not.
  const Result<std::string> fault = blob_fault(store_, entry, false);
  if (!fault.ok()) return broken("", fault.error().to_string());
  if (!fault->empty()) return broken(entry.digest, *fault);
  Result<Image> image = read_image(store_, entry);
  if (image.ok()) {
    const Result<std::string> config = blob_fault(store_, image->manifest.config, false);
    if (!config.ok()) return broken("", config.error().to_string());
    if (!config->empty()) return broken(image->manifest.config.digest, *config);
    for (const oci::Descriptor& other : entries_) {
      const std::string also = entry_name(other);
      if (other.digest == entry.digest && !also.empty() && also != name) image->names.push_back(also);
    }
    found_.images.push_back(*std::move(image));
    return;
  }
  // The manifest is what it was when it came. Its config may be gone; or it is something that moss does not know.
  const Result<oci::Digest> digest = oci::Digest::parse(entry.digest);
  const Result<std::string> text = sys::read_file(blob_path(store_, *digest), kMaxManifestBytes);
  const Result<oci::Manifest> manifest = text.ok() ? oci::decode_manifest(*text) : Result<oci::Manifest>(text.error());
  if (manifest.ok()) {
    const Result<std::string> config = blob_fault(store_, manifest->config, false);
    if (config.ok() && !config->empty()) return broken(manifest->config.digest, *config);
  }
  found_.has_foreign = true;
  ++report.images;
  say("image ", words, " is whole, but not one that moss can run: ", image.error().to_string());
}

Result<Ok> Check::look_at_blobs() {
  std::map<std::string, std::string> faults;  // of each blob once: images share them
  const auto fault_of = [&](const oci::Descriptor& blob) -> Result<std::string> {
    const auto known = faults.find(blob.digest);
    if (known != faults.end()) return known->second;
    std::string fault = TRY(blob_fault(store_, blob, options_.quick));
    ++report.blobs;
    if (!fault.empty()) found_.broken_blobs.insert(blob.digest);
    faults.emplace(blob.digest, fault);
    return fault;
  };
  std::vector<Image> whole;
  for (Image& image : found_.images) {
    report.blobs += 2;
    std::string first;
    for (const ImageLayer& layer : image.layers) {
      const std::string fault = TRY(fault_of(layer.blob));
      if (!fault.empty() && first.empty()) first = fault;
      // A blob that is broken proves nothing about its layer; another image may bring the same one in a good blob.
      if (fault.empty()) layers_.emplace(hex_of(layer.diff_id), layer);
    }
    if (first.empty()) {
      whole.push_back(std::move(image));
      continue;
    }
    damaged("image ", called(image), ": ", first);
    found_.broken_images.push_back({image.id, image.manifest_digest, called(image)});
  }
  found_.images = std::move(whole);
  return Ok{};
}

Result<Ok> Check::look_at_layers() {
  if (!sys::exists(store_ + "/layers")) return Ok{};
  for (const std::string& name : TRY(sys::list_dir(store_ + "/layers"))) {
    const auto layer = layers_.find(name.substr(0, name.find('.')));
    // Unnamed, or of a broken image.
    if (layer == layers_.end() || name.ends_with(".size")) continue;
    ++report.layers;
    TRY(look_at_layer(name, layer->second));
  }
  return Ok{};
}

// What lists show of the images that are whole.
void Check::look_at_summaries() {
  if (summaries_are_torn(store_)) {
    found_.summaries_wrong = true;
    return left_over(kSummariesFile, " is not whole; it is written anew when images are listed");
  }
  const Summaries summaries = read_summaries(store_);
  for (const Image& image : found_.images) {
    const auto known = summaries.find(image.manifest_digest);
    // The size may be the wrong one that was found.
    const bool broken = std::any_of(image.layers.begin(), image.layers.end(), [&](const ImageLayer& layer) {
      return found_.broken_sizes.contains(layer.diff_id);
    });
    if (known == summaries.end() || broken) continue;
    const auto size_of = [&](const std::string& diff_id) { return unpacked_size(store_, diff_id); };
    Summary shown = known->second;
    complete(shown, size_of);
    Summary expected = summary_of(image, size_of);
    if (shown.bytes && !expected.bytes) {
      // Known once, and nothing to compare it with now.
      expected.bytes = shown.bytes;
      expected.layers.clear();
    }
    if (shown == expected) continue;
    damaged(kSummariesFile, ": says of image ", called(image), " what its documents do not");
    found_.summaries_wrong = true;
    return;
  }
}

Result<Ok> Check::look_at_layer(const std::string& folder, const ImageLayer& layer) {
  const std::string path = cat(store_, "/layers/", folder);
  struct stat status;
  if (::lstat((path + "/fs").c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) {
    if (!options_.quick) return compare_layer(folder, layer);
    damaged("layer ", folder, ": its folder fs is missing");
    found_.broken_layers.push_back({folder, layer.diff_id, ""});
    return Ok{};
  }
  const Result<std::string> size = sys::read_file(layer_size_path(store_, layer.diff_id), 64);
  if ((!size.ok() || !parse_number<int64_t>(*size)) &&
      found_.broken_sizes.emplace(layer.diff_id, std::nullopt).second) {
    damaged("layer ", layer.diff_id, ": the file with its size is missing or damaged");
  }
  return options_.quick ? Result<Ok>(Ok{}) : compare_layer(folder, layer);
}

Result<Ok> Check::compare_layer(const std::string& folder, const ImageLayer& layer) {
  // "<diff id>.<map>" or "<diff id>.<map>.opaque". What was unpacked for a map that is not known here is compared but
  // for its owners.
  const std::string key = folder.substr(folder.find('.') + 1, folder.rfind(".opaque") - folder.find('.') - 1);
  const IdMap single{{{0, ::geteuid(), 1}}, {{0, ::getegid(), 1}}};
  const bool is_usual = key == map_key(options_.map);
  const bool is_single = !is_usual && key == map_key(single);
  const IdMap& map = is_single ? single : options_.map;
  Fresh fresh = TRY(unpack_fresh(layer, map));
  if (!fresh.error.empty()) {
    damaged("layer ", folder, ": ", fresh.error);
    found_.broken_layers.push_back({folder, layer.diff_id, ""});
    return Ok{};
  }
  std::vector<std::string> differences;
  const bool opaque = folder.ends_with(".opaque");
  if (opaque != fresh.layer.opaque_root) {
    differences.push_back(opaque ? "does not hide what is below it" : "hides what is below it, but is not named so");
  }
  if (fresh.layer.diff_id != layer.diff_id) differences.push_back(cat("its blob unpacks to ", fresh.layer.diff_id));
  const Result<std::string> size = sys::read_file(layer_size_path(store_, layer.diff_id), 64);
  if (size.ok() && parse_number<uint64_t>(*size).value_or(fresh.layer.bytes) != fresh.layer.bytes &&
      found_.broken_sizes.emplace(layer.diff_id, std::nullopt).second) {
    damaged("layer ", layer.diff_id, ": has ", fresh.layer.bytes, " bytes, but the file with its size says ", *size);
  }
  if (const auto broken = found_.broken_sizes.find(layer.diff_id); broken != found_.broken_sizes.end()) {
    broken->second = fresh.layer.bytes;
  }
  const Result<Fd> there = sys::open_at(AT_FDCWD, cat(store_, "/layers/", folder, "/fs"), O_PATH | O_DIRECTORY);
  const Fd expected = TRY(sys::open_at(staging_->dir(), fresh.folder + "/fs", O_PATH | O_DIRECTORY));
  if (!there.ok()) {
    differences.push_back(there.error().to_string());
  } else {
    auto [reading, writing] = TRY(sys::make_pipe());
    const auto compare = [&] {
      const Result<std::vector<std::string>> lines = [&]() -> Result<std::vector<std::string>> {
        // Through the caller's folders by descriptor; reading what a layer has closed is for its own root.
        const Fd a = TRY(sys::open_at(expected.get(), ".", O_RDONLY | O_DIRECTORY));
        const Fd b = TRY(sys::open_at(there->get(), ".", O_RDONLY | O_DIRECTORY));
        const Owners owners = is_usual || is_single ? Owners::compare : Owners::ignore;
        return tree_differences(a.get(), b.get(), owners, fresh.made_at, kMaxDifferences);
      }();
      const std::string text = lines.ok() ? join(*lines, "\n") : lines.error().to_string();
      return sys::write_all(writing.get(), text, "pipe").ok() ? 0 : 1;
    };
    const int code = ::geteuid() == 0 ? compare() : TRY(sys::run_in_user_namespace(map, compare));
    writing.reset();
    const std::string text = TRY(sys::read_stream(reading.get(), "differences", 1u << 20));
    if (code != 0) return Error(0, "compare layer ", folder, " with its blob");
    for (const std::string_view line : split(text, '\n')) differences.emplace_back(line);
  }
  if (differences.empty()) {
    const TreeRemover remove = remover_for(map);
    return remove(staging_->path(), fresh.folder);
  }
  damaged("layer ", folder, ": ", differences[0]);
  for (size_t i = 1; i < differences.size(); ++i) say("layer ", folder, ": ", differences[i]);
  if (differences.size() >= kMaxDifferences) say("layer ", folder, ": and perhaps more");
  const bool usable = options_.repair && (is_usual || is_single) && opaque == fresh.layer.opaque_root;
  found_.broken_layers.push_back({folder, layer.diff_id, usable ? fresh.folder : ""});
  return Ok{};
}

Result<Check::Fresh> Check::unpack_fresh(const ImageLayer& layer, const IdMap& map) {
  if (!staging_) staging_.emplace(TRY(Staging::create(store_, remover_for(options_.map))));
  Fresh fresh;
  fresh.folder = cat("layer-", next_++);
  fresh.made_at = ::time(nullptr) - 1;
  const oci::Digest digest = TRY(oci::Digest::parse(layer.blob.digest));
  const Fd blob = TRY(sys::open_at(AT_FDCWD, blob_path(store_, digest), O_RDONLY | O_NONBLOCK | O_NOFOLLOW));
  UnpackOptions options;
  options.single_id = map.is_single();
  UnpackWorker worker = TRY(UnpackWorker::start(map, options).context("start unpacking"));
  const Fd destination = TRY(make_layer_folder(staging_->dir(), fresh.folder, map, store_));
  UnpackJob job = TRY(worker.unpack(blob.get(), destination.get()));
  const Result<UnpackedLayer> unpacked = wait_for(job);
  if (unpacked.ok()) {
    fresh.layer = *unpacked;
  } else {
    // No space to look is not damage.
    if (unpacked.error().code() == ENOSPC || unpacked.error().code() == EDQUOT) {
      return explain(unpacked.error(), store_);
    }
    fresh.error = unpacked.error().to_string();
  }
  return fresh;
}

void Check::judge_unnamed(const std::string& path) {
  struct stat status;
  if (::lstat(cat(store_, "/", path).c_str(), &status) != 0) return;
  // Of a layer's folder only the inside has the time it was made at.
  const int64_t age_s = ::time(nullptr) - status.st_ctim.tv_sec;
  if (age_s < options_.max_age_s) {
    left_over(path, " is named by no image");
    return;
  }
  damaged(path, " is named by no image, for ", age_s / 3600, " hours");
  found_.unnamed.push_back(path);
}

Result<Ok> Check::look_for_unnamed() {
  // Without an index, or with entries that cannot be followed, everything may be somebody's.
  if (found_.index_unreadable || found_.has_foreign) return Ok{};
  const Referenced named = TRY(find_referenced(store_, Unreadable::skip));
  std::set<std::string> broken = found_.broken_blobs;
  // What belongs to a broken image is its own matter.
  if (!found_.broken_images.empty()) return Ok{};
  for (const std::string& algorithm : TRY(sys::list_dir(store_ + "/blobs"))) {
    for (const std::string& hex : TRY(sys::list_dir(cat(store_, "/blobs/", algorithm)))) {
      if (!named.blobs.contains(cat(algorithm, ":", hex))) judge_unnamed(cat("blobs/", algorithm, "/", hex));
    }
  }
  if (!sys::exists(store_ + "/layers")) return Ok{};
  for (const std::string& name : TRY(sys::list_dir(store_ + "/layers"))) {
    if (!named.diff_ids.contains(name.substr(0, name.find('.')))) judge_unnamed("layers/" + name);
  }
  return Ok{};
}

// Whether somebody holds flock(2) on it; what is gone by now is held by nobody and nothing to tell of.
std::optional<bool> is_held(const std::string& path) {
  const Result<Fd> fd = sys::open_at(AT_FDCWD, path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK);
  if (!fd.ok()) return std::nullopt;
  if (::flock(fd->get(), LOCK_SH | LOCK_NB) == 0) return sys::exists(path) ? std::optional(false) : std::nullopt;
  return true;
}

Result<Ok> Check::look_for_left_over() {
  for (const char* folder : {"staging", "locks"}) {
    if (!sys::exists(cat(store_, "/", folder))) continue;
    for (const std::string& name : TRY(sys::list_dir(cat(store_, "/", folder)))) {
      if (!is_held(cat(store_, "/", folder, "/", name)).value_or(true)) {
        left_over(folder, "/", name, " was left by a command that did not get to its end");
      }
    }
  }
  // Whoever is writing one holds this.
  if (!is_held(store_ + "/locks/index").value_or(false)) {
    for (const std::string& name : TRY(sys::list_dir(store_))) {
      if (!is_half_written(name)) continue;
      left_over(name, " was left by a command that did not get to its end");
    }
  }
  for (const std::string& digest : lost_manifests(store_)) {
    left_over("image ", digest, " was not yet on the disk when the power went; it is gone");
  }
  return Ok{};
}

}  // namespace

std::string called(const Image& image) {
  return cat(image.names.empty() ? "<none>" : image.names.front(), " (", image.id.substr(0, 12), ")");
}

Result<std::string> blob_fault(const std::string& store, const oci::Descriptor& blob, bool quick) {
  const Result<oci::Digest> digest = oci::Digest::parse(blob.digest);
  if (!digest.ok()) return digest.error().to_string();
  const Result<Fd> file = sys::open_at(AT_FDCWD, blob_path(store, *digest), O_RDONLY | O_NONBLOCK | O_NOFOLLOW);
  const std::string name = cat("blob ", digest->text());
  if (!file.ok()) {
    if (file.error().code() == ENOENT) return name + " is missing";
    return Error(file.error().code(), "open ", name).to_string();
  }
  struct stat status;
  if (::fstat(file->get(), &status) != 0) return sys_error("stat ", name);
  if (!S_ISREG(status.st_mode)) return name + " is not a file";
  if (status.st_size != blob.size) {
    return cat(name, " has ", status.st_size, " bytes, but its descriptor says ", blob.size);
  }
  if (quick) return std::string();
  Digester digester = TRY(Digester::create(digest->algorithm()));
  std::vector<char> buffer(1u << 20);
  while (true) {
    const ssize_t got = ::read(file->get(), buffer.data(), buffer.size());
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return sys_error("read ", name).to_string();
    if (got == 0) break;
    digester.update(buffer.data(), static_cast<size_t>(got));
  }
  const std::string found = digester.finish();
  return found == digest->text() ? std::string() : cat(name, " holds something else: ", found);
}

Result<CheckReport> check_store(const ImageStore& store, const CheckOptions& options) {
  Check check(store, options);
  TRY(check.look().context("check ", store.path()));
  if (options.repair && (check.report.damaged > 0 || check.report.left_over > 0)) {
    check.report.repaired =
        TRY(repair_store(store, options, check.findings(), check.staging()).context("repair ", store.path()));
  }
  return check.report;
}

}  // namespace moss::engine
