// Loading images: OCI layouts in folders and archives, Docker's archives. All through the same checks as a pull.
//
// Nothing inside is trusted: a folder is read below its descriptor, an archive's names never become paths, and every
// document has its limit. Formats: image-spec image-layout.md; Docker's image spec v1.2 "Combined Image JSON".
#include "moss/engine/archives.hh"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "docker_daemon.hh"
#include "download.hh"
#include "ingest.hh"
#include "input.hh"
#include "lists.hh"
#include "moss/engine/trust.hh"
#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"
#include "moss/sys/path.hh"
#include "moss/sys/pipe.hh"
#include "names.hh"
#include "podman_store.hh"
#include "resolve.hh"
#include "tar_files.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxListBytes = 8u << 20;        // index.json
constexpr size_t kMaxDockerListBytes = 2u << 20;  // manifest.json: a thousand images have less than half of it
constexpr size_t kMaxImages = 1000;
constexpr int64_t kMaxBlobBytes = 1LL << 40;
constexpr std::string_view kPodmanStore = "containers-storage:";
constexpr std::string_view kDockerDaemon = "docker-daemon:";
constexpr std::string_view kContainerdName = "io.containerd.image.name";

// Files by name: a folder or an archive.
class Source {
 public:
  virtual ~Source() = default;
  virtual bool has(const std::string& name) const = 0;
  virtual Result<std::string> read(const std::string& name, size_t max_bytes) = 0;
  /// The file's copy in staging. The digest is `algorithm`'s.
  virtual Result<StagedFile> stage(const std::string& name, int64_t max_bytes, const std::string& algorithm) = 0;
};

class FolderSource : public Source {
 public:
  FolderSource(Ingest& ingest, Fd root) : ingest_(ingest), root_(std::move(root)) {}

  bool has(const std::string& name) const override { return sys::open_beneath(root_.get(), name, O_PATH).ok(); }
  Result<std::string> read(const std::string& name, size_t max_bytes) override {
    return sys::read_file_beneath(root_.get(), name, max_bytes);
  }
  Result<StagedFile> stage(const std::string& name, int64_t max_bytes, const std::string& algorithm) override {
    const Fd file = TRY(sys::open_beneath(root_.get(), name, O_RDONLY | O_NONBLOCK | O_NOCTTY));
    struct stat status;
    if (::fstat(file.get(), &status) != 0) return sys_error("stat ", name);
    if (!S_ISREG(status.st_mode)) return Error(0, name, " is not a regular file; refused");
    const std::string staged = cat("copy-", ingest_.next_index());
    const Copied copied = TRY(copy_to_staging(ingest_, file.get(), staged, max_bytes, algorithm).context(name));
    return StagedFile{staged, copied.digest, copied.bytes};
  }

 private:
  Ingest& ingest_;
  Fd root_;
};

class ArchiveSource : public Source {
 public:
  ArchiveSource(Ingest& ingest, ArchiveFiles files) : ingest_(ingest), files_(std::move(files)) {}

  bool has(const std::string& name) const override { return files_.find(name) != nullptr; }
  Result<std::string> read(const std::string& name, size_t max_bytes) override {
    const StagedFile* file = TRY(get(name));
    return sys::read_file_at(ingest_.staging(), file->name, max_bytes).context(printable(name));
  }
  Result<StagedFile> stage(const std::string& name, int64_t max_bytes, const std::string& algorithm) override {
    const StagedFile* file = TRY(get(name));
    if (file->bytes > max_bytes) {
      return Error(0, printable(name), ": larger than the ", max_bytes, " bytes it was promised with; refused");
    }
    if (algorithm == "sha256") return *file;
    const Fd content = TRY(sys::open_at(ingest_.staging(), file->name, O_RDONLY));
    const std::string staged = cat("copy-", ingest_.next_index());
    const Copied copied = TRY(copy_to_staging(ingest_, content.get(), staged, max_bytes, algorithm));
    return StagedFile{staged, copied.digest, copied.bytes};
  }

 private:
  Result<const StagedFile*> get(const std::string& name) const {
    const StagedFile* file = files_.find(name);
    if (file == nullptr) return Error(ENOENT, "the archive has no ", printable(name.substr(0, 300)));
    return file;
  }
  Ingest& ingest_;
  ArchiveFiles files_;
};

// Files that are in staging already.
class StagedSource : public Source {
 public:
  explicit StagedSource(std::map<std::string, StagedFile> files) : files_(std::move(files)) {}
  bool has(const std::string& name) const override { return files_.contains(name); }
  Result<std::string> read(const std::string& name, size_t) override { return Error(ENOENT, name); }
  Result<StagedFile> stage(const std::string& name, int64_t, const std::string&) override {
    const auto file = files_.find(name);
    if (file == files_.end()) return Error(ENOENT, name);
    return file->second;
  }

 private:
  std::map<std::string, StagedFile> files_;
};

std::string blob_name(const oci::Digest& digest) { return cat("blobs/", digest.algorithm(), "/", digest.hex()); }

// The layers of one image, each from the file `name_of` gives for it, then the image itself.
class Loader {
 public:
  Loader(Ingest& ingest, Source& source, const LoadOptions& options)
      : ingest_(ingest), source_(source), options_(options) {}

  Result<Image> load(const ResolvedImage& image, const std::vector<std::string>& files,
                     const std::vector<std::string>& names) {
    std::vector<std::string> seen;
    for (size_t i = 0; i < image.layers.size(); ++i) {
      const ImageLayer& layer = image.layers[i];
      if (std::find(seen.begin(), seen.end(), layer.blob.digest) != seen.end()) continue;
      seen.push_back(layer.blob.digest);
      TRY(load_layer(layer, files[i]));
    }
    if (options_.progress) options_.progress({.phase = Progress::Phase::storing});
    return ingest_.commit(image, names);
  }

 private:
  Result<Ok> load_layer(const ImageLayer& layer, const std::string& file) {
    const auto tell = [&](Progress::Phase phase, int64_t done) {
      if (options_.progress) {
        options_.progress({.phase = phase, .digest = layer.blob.digest, .done = done, .total = layer.blob.size});
      }
    };
    if (ingest_.has_blob(layer.blob) && ingest_.has_layer(layer.diff_id)) {
      tell(Progress::Phase::exists, layer.blob.size);
      return Ok{};
    }
    tell(Progress::Phase::downloading, 0);
    const oci::Digest digest = TRY(oci::Digest::parse(layer.blob.digest));
    const StagedFile staged = TRY(source_.stage(file, layer.blob.size, std::string(digest.algorithm())));
    if (staged.bytes != layer.blob.size) {
      return Error(0, "layer ", layer.blob.digest, " has ", staged.bytes, " bytes and not the ", layer.blob.size,
                   " it was promised with; refused");
    }
    if (staged.digest != layer.blob.digest) {
      return Error(0, "layer ", layer.blob.digest, ": its content has the digest ", staged.digest, "; refused");
    }
    tell(Progress::Phase::unpacking, layer.blob.size);
    const Fd content = TRY(sys::open_at(ingest_.staging(), staged.name, O_RDONLY));
    const size_t index = ingest_.next_index();
    UnpackJob job = TRY(ingest_.unpack(index, content.get()));
    Result<UnpackedLayer> unpacked = wait_for(job).context("unpack layer ", layer.blob.digest);
    if (!unpacked.ok()) return explain(unpacked.error(), ingest_.store());
    tell_warnings(options_.progress, *unpacked);
    TRY(ingest_.take_layer(index, layer, staged.name, *unpacked, std::nullopt));
    tell(Progress::Phase::done, layer.blob.size);
    return Ok{};
  }

  Ingest& ingest_;
  Source& source_;
  const LoadOptions& options_;
};

// What an annotation calls an image, made a full name; nothing where it is none.
std::vector<std::string> names_of(const oci::Descriptor& entry) {
  for (const std::string_view key : {kContainerdName, kRefName}) {
    const auto annotation = entry.annotations.find(std::string(key));
    if (annotation == entry.annotations.end()) continue;
    const Result<std::string> full = full_local_name(annotation->second);
    if (full.ok()) return {*full};
  }
  return {};
}

Result<std::vector<Image>> load_layout(Ingest& ingest, Source& source, const std::string& wanted,
                                       const LoadOptions& options) {
  const std::string text = TRY(source.read("index.json", kMaxListBytes));
  const oci::Index index = TRY(oci::decode_index(text).context("index.json"));
  const FetchDocument fetch = [&](const oci::Descriptor& blob, size_t max_bytes) -> Result<std::string> {
    const oci::Digest digest = TRY(oci::Digest::parse(blob.digest));
    return source.read(blob_name(digest), max_bytes);
  };
  std::vector<oci::Descriptor> entries;
  for (const oci::Descriptor& entry : index.manifests) {
    const auto name = entry.annotations.find(std::string(kRefName));
    if (wanted.empty() || (name != entry.annotations.end() && name->second == wanted)) entries.push_back(entry);
  }
  if (entries.empty() && !wanted.empty()) return Error(0, "no image is called ", printable(wanted), " there");
  if (entries.empty()) return Error(0, "no image is in there");
  if (entries.size() > kMaxImages)
    return Error(0, entries.size(), " images; moss loads at most ", kMaxImages, " at once");

  std::vector<Image> images;
  const auto load_one = [&](const std::string& document, const std::vector<std::string>& names) -> Result<Ok> {
    const ResolvedImage image = TRY(resolve_image(document, options.platform, fetch));
    std::vector<std::string> files;
    for (const ImageLayer& layer : image.layers) {
      const oci::Digest digest = TRY(oci::Digest::parse(layer.blob.digest));
      files.push_back(blob_name(digest));
    }
    images.push_back(TRY(Loader(ingest, source, options).load(image, files, names)));
    return Ok{};
  };
  // Several entries without names are one image for several platforms.
  const bool unnamed =
      std::all_of(entries.begin(), entries.end(), [](const auto& entry) { return names_of(entry).empty(); });
  if (unnamed && entries.size() > 1) {
    TRY(load_one(text, {}));
    return images;
  }
  for (const oci::Descriptor& entry : entries) {
    if (entry.size > static_cast<int64_t>(kMaxManifestBytes)) return Error(EFBIG, "manifest ", entry.digest);
    const std::string document = TRY(fetch(entry, kMaxManifestBytes).context("manifest ", entry.digest));
    TRY(verify_document(document, entry).context("manifest ", entry.digest));
    TRY(load_one(document, names_of(entry)));
  }
  return images;
}

std::string dir_blob_name(const oci::Descriptor& blob, const oci::Digest& digest) {
  const bool document =
      is_list(blob.media_type) || blob.media_type == oci::kOciManifest || blob.media_type == oci::kDockerManifest;
  return cat(digest.hex(), document ? ".manifest.json" : "");
}

// What skopeo calls dir: files named by their digests beside one manifest, which is the image.
Result<std::vector<Image>> load_dir(Ingest& ingest, Source& source, const LoadOptions& options) {
  const FetchDocument fetch = [&](const oci::Descriptor& blob, size_t max_bytes) -> Result<std::string> {
    const oci::Digest digest = TRY(oci::Digest::parse(blob.digest));
    return source.read(dir_blob_name(blob, digest), max_bytes);
  };
  const std::string document = TRY(source.read("manifest.json", kMaxManifestBytes));
  const ResolvedImage image = TRY(resolve_image(document, options.platform, fetch));
  std::vector<std::string> files;
  for (const ImageLayer& layer : image.layers) {
    const oci::Digest digest = TRY(oci::Digest::parse(layer.blob.digest));
    files.push_back(dir_blob_name(layer.blob, digest));
  }
  std::vector<Image> images;
  images.push_back(TRY(Loader(ingest, source, options).load(image, files, {})));
  return images;
}

std::string layer_type(std::string_view start) {
  if (start.starts_with("\x1f\x8b")) return std::string(oci::kOciLayerGzip);
  if (start.starts_with("\x28\xb5\x2f\xfd")) return std::string(oci::kOciLayerZstd);
  return std::string(oci::kOciLayerTar);
}

Result<std::vector<oci::ArchivedImage>> read_docker_list(Source& source) {
  const std::string text = TRY(source.read("manifest.json", kMaxDockerListBytes));
  std::vector<oci::ArchivedImage> images = TRY(oci::decode_archived_images(text));
  if (images.empty()) return Error(0, "manifest.json: no image is in there");
  if (images.size() > kMaxImages) return Error(0, "manifest.json: more than ", kMaxImages, " images");
  for (const oci::ArchivedImage& image : images) {
    if (image.layers.size() > kMaxLayers) {
      return Error(0, "manifest.json: the image has ", image.layers.size(), " layers; moss takes at most ", kMaxLayers);
    }
  }
  return images;
}

// Docker's archives have no manifest of their own: one is written for what they hold.
Result<ResolvedImage> describe_docker_image(Source& source, const oci::ArchivedImage& docker) {
  std::string config = TRY(source.read(docker.config, kMaxConfigBytes));
  std::vector<oci::Descriptor> layers;
  for (const std::string& name : docker.layers) {
    const StagedFile staged = TRY(source.stage(name, kMaxBlobBytes, "sha256"));
    oci::Descriptor layer;
    layer.media_type = layer_type(staged.start);
    layer.digest = staged.digest;
    layer.size = staged.bytes;
    layers.push_back(std::move(layer));
  }
  return compose_image(std::move(config), std::move(layers)).context(printable(docker.config));
}

Result<std::vector<Image>> load_docker_archive(Ingest& ingest, Source& source, const LoadOptions& options) {
  std::vector<Image> images;
  for (const oci::ArchivedImage& docker : TRY(read_docker_list(source))) {
    const ResolvedImage image = TRY(describe_docker_image(source, docker));
    if (options.platform && image.config.platform.architecture != options.platform->architecture) continue;
    std::vector<std::string> names;
    for (const std::string& tag : docker.tags) {
      // Docker writes its hub's names short.
      const ImageName name = TRY(parse_image_name(tag).context("manifest.json: RepoTags"));
      names.push_back(cat(local_candidates(name).back(), name.suffix()));
    }
    images.push_back(TRY(Loader(ingest, source, options).load(image, docker.layers, names)));
  }
  if (images.empty()) return Error(0, "no image for the platform is in there");
  return images;
}

// Docker gives an archive.
Result<std::vector<Image>> load_from_docker(ImageStore& store, const std::string& name, const LoadOptions& options) {
  const std::string socket = TRY(find_docker_socket());
  Ingest ingest = TRY(Ingest::begin(store.path(), options.map, options.unpack));
  const Fd file = TRY(ingest.create_file("from-docker"));
  Result<Ok> exported = export_from_docker(socket, name, file.get(), options.max_archive_bytes);
  if (!exported.ok()) return explain(exported.error(), store.path());
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return sys_error("read what Docker gave");
  ArchiveFiles files = TRY(ArchiveFiles::stage(ingest, file.get(), options.max_archive_bytes, options.unpack));
  ArchiveSource archive(ingest, std::move(files));
  return load_docker_archive(ingest, archive, options);
}

// A layer of Podman's as a tar in staging, written by whoever owns its files.
Result<StagedFile> stage_podman_layer(Ingest& ingest, const PodmanImage& image, const PodmanLayer& layer,
                                      const LoadOptions& options) {
  auto [reading, writing] = TRY(sys::make_pipe());
  auto [complaint, complaint_writing] = TRY(sys::make_pipe());
  const auto write = [&] {
    ::signal(SIGPIPE, SIG_IGN);
    const Result<Ok> written = write_podman_layer(image, layer, writing.get());
    if (written.ok()) return 0;
    (void)sys::write_all(complaint_writing.get(), written.error().to_string(), "a complaint");
    return 1;
  };
  // Real root may read what belongs to anybody; its subordinate ids own nothing there.
  const bool own = ::geteuid() == 0 || options.map.is_single();
  sys::Child child = TRY(own ? sys::fork_child(write) : sys::start_in_user_namespace(options.map, write));
  writing.reset();
  complaint_writing.reset();
  const std::string staged = cat("podman-", ingest.next_index());
  const Copied copied = TRY(copy_to_staging(ingest, reading.get(), staged, options.max_archive_bytes, "sha256"));
  const sys::Exit exit = TRY(child.wait());
  if (!exit.ok()) {
    const std::string words = TRY(sys::read_stream(complaint.get(), "a complaint", 64u << 10));
    return Error(0, "layer ", layer.id.substr(0, 12), ": ", words.empty() ? "cannot be read" : words);
  }
  return StagedFile{staged, copied.digest, copied.bytes};
}

Result<std::vector<Image>> load_from_podman(ImageStore& store, const std::string& name, const LoadOptions& options) {
  const PodmanImage podman = TRY(find_podman_image(name));
  Ingest ingest = TRY(Ingest::begin(store.path(), options.map, options.unpack));
  std::map<std::string, StagedFile> staged;
  std::vector<oci::Descriptor> layers;
  std::vector<std::string> files;
  for (const PodmanLayer& layer : podman.layers) {
    const StagedFile file = TRY(stage_podman_layer(ingest, podman, layer, options));
    layers.push_back({.media_type = std::string(oci::kOciLayerTar), .digest = file.digest, .size = file.bytes});
    files.push_back(layer.id);
    staged.emplace(layer.id, file);
  }
  const ResolvedImage image = TRY(compose_image(podman.config_text, std::move(layers)));
  for (size_t i = 0; i < image.layers.size(); ++i) {
    // Nothing but the tar's own digest says that it was put together well.
    if (image.layers[i].blob.digest != image.layers[i].diff_id) {
      return Error(0, "layer ", files[i].substr(0, 12), " is not what it was: its tar has the digest ",
                   image.layers[i].blob.digest, " and not ", image.layers[i].diff_id);
    }
  }
  StagedSource source(std::move(staged));
  std::vector<Image> images;
  images.push_back(TRY(Loader(ingest, source, options).load(image, files, podman.names)));
  return images;
}

struct Place {
  enum class Kind { guess, docker_archive, oci_archive, oci_folder, folder } kind = Kind::guess;
  std::string path;
  std::string image;  ///< the one of several
};

Place parse_place(const std::string& source) {
  const auto after = [&](std::string_view transport) { return source.substr(transport.size()); };
  const auto with_image = [](Place::Kind kind, const std::string& rest) {
    const auto [path, image] = cut(rest, ':');
    return Place{kind, std::string(path), std::string(image.value_or(""))};
  };
  if (source.starts_with("docker-archive:")) return with_image(Place::Kind::docker_archive, after("docker-archive:"));
  if (source.starts_with("oci-archive:")) return with_image(Place::Kind::oci_archive, after("oci-archive:"));
  if (source.starts_with("oci:")) return with_image(Place::Kind::oci_folder, after("oci:"));
  if (source.starts_with("dir:")) return {Place::Kind::folder, after("dir:"), ""};
  return {Place::Kind::guess, source, ""};
}

}  // namespace

Result<Fd> open_archive(const std::string& path) {
  Fd fd;
  if (path == "-") {
    fd.reset(::fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3));
    if (!fd) return sys_error("read the standard input");
    if (::isatty(fd.get()) == 1)
      return Error(0, "the standard input is a terminal; name a file with -i, or pipe one in");
  } else {
    fd = TRY(sys::open_at(AT_FDCWD, path, O_RDONLY | O_NOCTTY));
  }
  struct stat status;
  const std::string called = path == "-" ? "the standard input" : path;
  if (::fstat(fd.get(), &status) != 0) return sys_error("stat ", called);
  // A pipe is fine where the user named it: load -i <(curl …).
  if (!S_ISREG(status.st_mode) && !S_ISFIFO(status.st_mode) && !S_ISDIR(status.st_mode) && !S_ISSOCK(status.st_mode)) {
    return Error(0, called, " is neither a file nor a folder nor a pipe");
  }
  return fd;
}

Result<std::vector<Image>> load(ImageStore& store, const std::string& source, const LoadOptions& options) {
  const TrustPolicy policy = TRY(TrustPolicy::read(options.signature_policy));
  const auto judge_name = [&](std::string_view transport) {
    const std::string name = source.substr(transport.size());
    return policy.check(file_image(std::string(transport.substr(0, transport.size() - 1)), name, ""), {})
        .context("load ", printable(source));
  };
  if (source.starts_with(kPodmanStore)) {
    TRY(judge_name(kPodmanStore));
    return load_from_podman(store, source.substr(kPodmanStore.size()), options).context("load ", printable(source));
  }
  if (source.starts_with(kDockerDaemon)) {
    TRY(judge_name(kDockerDaemon));
    return load_from_docker(store, source.substr(kDockerDaemon.size()), options).context("load ", printable(source));
  }
  const Place place = parse_place(source);
  const bool from_url = place.kind == Place::Kind::guess && is_url(place.path);
  Fd fd;
  struct stat status{};
  if (!from_url) {
    fd = TRY(open_archive(place.path).context("load"));
    if (::fstat(fd.get(), &status) != 0) return sys_error("stat ", place.path);
  }
  const bool folder = S_ISDIR(status.st_mode);
  const bool wants_folder = place.kind == Place::Kind::oci_folder || place.kind == Place::Kind::folder;
  if (folder && place.kind != Place::Kind::guess && !wants_folder) {
    return Error(0, "load ", place.path, ": a folder; name an archive, or an OCI layout as oci:", place.path);
  }
  if (!folder && wants_folder) return Error(ENOTDIR, "load ", place.path);

  const auto judge = [&](const char* transport) {
    return policy.check(file_image(transport, place.path, place.image), {}).context("load ", place.path);
  };
  const bool dir = folder && (place.kind == Place::Kind::folder ||
                              (place.kind == Place::Kind::guess && !sys::exists(place.path + "/index.json") &&
                               sys::exists(place.path + "/version")));
  if (folder) TRY(judge(dir ? "dir" : "oci"));
  Ingest ingest = TRY(Ingest::begin(store.path(), options.map, options.unpack).context("load ", place.path));
  if (folder) {
    FolderSource layout(ingest, std::move(fd));
    if (dir) return load_dir(ingest, layout, options).context("load ", place.path);
    return load_layout(ingest, layout, place.image, options).context("load ", place.path);
  }
  // libcurl starts threads: not before the process that unpacks is there.
  if (from_url) {
    fd =
        TRY(download_to_staging(ingest, place.path, options.max_archive_bytes).context("load ", printable(place.path)));
  }
  ArchiveFiles files = TRY(
      ArchiveFiles::stage(ingest, fd.get(), options.max_archive_bytes, options.unpack).context("load ", place.path));
  ArchiveSource archive(ingest, std::move(files));
  const bool docker = archive.has("manifest.json");
  if (docker && place.kind != Place::Kind::oci_archive) {
    TRY(judge("docker-archive"));
    return load_docker_archive(ingest, archive, options).context("load ", place.path);
  }
  if (place.kind != Place::Kind::docker_archive && archive.has("index.json")) {
    TRY(judge("oci-archive"));
    return load_layout(ingest, archive, place.image, options).context("load ", place.path);
  }
  return Error(0, "load ", place.path,
               ": neither manifest.json nor index.json is in it; for the tar of a root filesystem: moss import");
}

}  // namespace moss::engine
