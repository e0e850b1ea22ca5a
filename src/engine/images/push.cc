// Pushing and saving: an image's name to its files (outgoing.hh), and these to a registry or into files.
#include "moss/engine/push.hh"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <set>

#include "docker_daemon.hh"
#include "file_formats.hh"
#include "file_sink.hh"
#include "http.hh"
#include "layout.hh"
#include "lists.hh"
#include "moss/oci/reference.hh"
#include "moss/sys/file.hh"
#include "names.hh"
#include "outgoing.hh"
#include "referrers.hh"
#include "registries_conf.hh"
#include "registry.hh"
#include "upload.hh"

namespace moss::engine {

namespace {

struct Destination {
  enum class Kind { registry, oci_folder, oci_archive, docker_archive, folder, docker_daemon } kind = Kind::registry;
  std::string path;  ///< or the name in a registry
  std::string name;  ///< of the image in there
};

Result<Destination> parse_destination(const std::string& text) {
  struct Transport {
    std::string_view prefix;
    Destination::Kind kind;
  };
  static constexpr Transport kFiles[] = {{"oci:", Destination::Kind::oci_folder},
                                         {"oci-archive:", Destination::Kind::oci_archive},
                                         {"docker-archive:", Destination::Kind::docker_archive},
                                         {"dir:", Destination::Kind::folder},
                                         {"docker-daemon:", Destination::Kind::docker_daemon}};
  for (const Transport& transport : kFiles) {
    if (!text.starts_with(transport.prefix)) continue;
    const std::string rest = text.substr(transport.prefix.size());
    Destination out{.kind = transport.kind, .path = rest, .name = ""};
    if (transport.kind != Destination::Kind::folder && transport.kind != Destination::Kind::docker_daemon) {
      const auto [path, name] = cut(rest, ':');
      out = {.kind = transport.kind, .path = std::string(path), .name = std::string(name.value_or(""))};
    }
    if (out.path.empty()) return Error(0, "destination ", printable(text), ": a path is missing");
    return out;
  }
  for (const std::string_view other : {"containers-storage:", "ostree:", "sif:", "tarball:", "atomic:"}) {
    if (text.starts_with(other)) {
      return Error(0, "destination ", printable(text), ": moss writes to registries (docker://), oci:, oci-archive:, ",
                   "docker-archive:, dir: and docker-daemon:");
    }
  }
  return Destination{.kind = Destination::Kind::registry, .path = text, .name = ""};
}

// What is to go out: one image, or a list with all of its images.
struct Cargo {
  std::optional<OutgoingImage> image;
  std::optional<OutgoingList> list;

  const oci::Descriptor& descriptor() const { return list ? list->descriptor : image->descriptor; }
  const std::string& text() const { return list ? list->text : image->manifest_text; }
};

Result<Cargo> pack(Packer& packer, const ImageStore& store, const std::string& name, bool all) {
  Cargo cargo;
  const std::optional<oci::Descriptor> list = TRY(find_list(store.path(), name));
  if (list && all) {
    cargo.list = TRY(packer.pack_list(*list));
  } else {
    const Image image = TRY(store.get(name));
    cargo.image = TRY(packer.pack(image));
  }
  return cargo;
}

Result<Ok> write_to(FileSink& sink, const Cargo& cargo, Destination::Kind kind, const std::vector<std::string>& names,
                    const std::string& store) {
  switch (kind) {
    case Destination::Kind::oci_folder:
    case Destination::Kind::oci_archive:
      TRY(cargo.list ? write_layout(sink, *cargo.list, names) : write_layout(sink, *cargo.image, names));
      break;
    case Destination::Kind::folder:
      TRY(cargo.list ? write_dir(sink, *cargo.list) : write_dir(sink, *cargo.image));
      break;
    case Destination::Kind::docker_archive:
    case Destination::Kind::docker_daemon:
    case Destination::Kind::registry:
      if (cargo.list) return Error(0, "a docker-archive holds no lists; push the images one by one");
      TRY(write_docker_archive(sink, {{*cargo.image, names}}, store));
      break;
  }
  return sink.finish();
}

Result<std::unique_ptr<FileSink>> open_sink(Destination::Kind kind, const std::string& path) {
  if (kind == Destination::Kind::oci_folder) {
    const bool layout = sys::exists(path + "/oci-layout") || sys::exists(path + "/index.json");
    const Result<std::vector<std::string>> there = sys::list_dir(path);
    if (there.ok() && !there->empty() && !layout) {
      return Error(ENOTEMPTY, "write to ", path, ", which is no OCI layout");
    }
    // What is in a layout stays.
    return open_folder_sink(path, !layout);
  }
  if (kind == Destination::Kind::folder) {
    const Result<std::vector<std::string>> there = sys::list_dir(path);
    if (there.ok() && !there->empty() && !sys::exists(path + "/version")) {
      return Error(ENOTEMPTY, "write to ", path, ", which is no folder of an image");
    }
    return open_folder_sink(path, true);
  }
  return open_archive_sink(path);
}

// Blobs that images of the store were pulled with from the same registry, by digest.
Result<MountSources> mount_sources(const ImageStore& store, const std::string& registry,
                                   const std::string& own_repository) {
  constexpr size_t kMaxSources = 2;
  MountSources sources;
  for (const Image& image : TRY(store.list())) {
    for (const std::string& name : image.names) {
      const Result<ImageName> parsed = parse_image_name(name);
      if (!parsed.ok() || parsed->is_short) continue;
      const auto [host, repository] = cut(parsed->repository, '/');
      if (host != registry || !repository || *repository == own_repository) continue;
      for (const ImageLayer& layer : image.layers) {
        std::vector<std::string>& known = sources[layer.blob.digest];
        const bool listed = std::find(known.begin(), known.end(), *repository) != known.end();
        if (!listed && known.size() < kMaxSources) known.emplace_back(*repository);
      }
    }
  }
  return sources;
}

struct RegistryName {
  std::string full;  ///< "registry/repository"
  ImageName name;
};

Result<RegistryName> registry_name(const std::string& text, bool own_name) {
  RegistryName out;
  out.name = TRY(parse_image_name(text));
  // As for everybody who pushes: a name without a registry is the hub's.
  out.full = out.name.is_short ? oci::name_in("docker.io", out.name.repository) : out.name.repository;
  if (out.full.starts_with("localhost/") && own_name) {
    return Error(0, printable(text), " is a name of your own and of no registry; say where to: moss push ",
                 printable(text), " REGISTRY/NAME");
  }
  return out;
}

// A name in Docker's archive is a full one.
Result<std::string> archive_tag(const std::string& text) {
  const RegistryName name = TRY(registry_name(text, false));
  if (!name.name.digest.empty()) return Error(0, printable(text), ": a name in an archive has a tag and no digest");
  return cat(name.full, name.name.suffix());
}

class RegistryPush {
 public:
  RegistryPush(const ImageStore& store, const PushOptions& options) : store_(store), options_(options) {}

  Result<std::string> push(const Cargo& cargo, const RegistryName& to) {
    if (!to.name.digest.empty() && to.name.digest != cargo.descriptor().digest) {
      return Error(0, "the destination's digest is ", to.name.digest, ", the image's is ", cargo.descriptor().digest);
    }
    const RegistriesConf conf = TRY(read_registries_conf());
    // The last one is the registry itself; mirrors are written to by who keeps them.
    const Endpoint endpoint = TRY(endpoints(conf, to.full, false)).back();
    HttpClient http = TRY(HttpClient::create());
    Registry registry = TRY(Registry::connect(http, endpoint, to.full,
                                              {.access = options_.access,
                                               .credential_helpers = conf.credential_helpers,
                                               .retries = options_.retries,
                                               .retry_delay_ms = options_.retry_delay_ms}));
    const MountSources sources = TRY(mount_sources(store_, std::string(cut(to.full, '/').first), endpoint.repository));
    std::vector<const OutgoingBlob*> blobs;
    const auto add = [&](const OutgoingImage& image) {
      for (const OutgoingBlob& layer : image.layers) blobs.push_back(&layer);
      blobs.push_back(&image.config_blob);
    };
    if (cargo.list) {
      for (const OutgoingImage& image : cargo.list->images) add(image);
    } else {
      add(*cargo.image);
    }
    registry.want_to_push(repositories(blobs, sources));
    TRY(upload_blobs(http, registry, blobs, sources, options_));
    if (cargo.list) {
      for (const OutgoingImage& image : cargo.list->images) {
        TRY(send(http, registry, image.descriptor.digest, image.descriptor, image.manifest_text));
      }
    }
    if (options_.progress) options_.progress({.phase = Progress::Phase::storing});
    const std::string& tag = to.name.digest.empty() ? to.name.tag : to.name.digest;
    TRY(send(http, registry, tag, cargo.descriptor(), cargo.text()));
    return cargo.descriptor().digest;
  }

 private:
  Result<Ok> send(HttpClient& http, Registry& registry, const std::string& tag, const oci::Descriptor& descriptor,
                  const std::string& text) {
    HttpResponse answer;
    TRY(upload_manifest(http, registry, tag, descriptor, text, options_, &answer));
    return announce_referrer(http, registry, descriptor, text, answer, options_);
  }

  static std::vector<std::string> repositories(const std::vector<const OutgoingBlob*>& blobs,
                                               const MountSources& sources) {
    constexpr size_t kMaxRepositories = 10;
    std::set<std::string> out;
    for (const OutgoingBlob* blob : blobs) {
      const auto known = sources.find(blob->descriptor.digest);
      if (known == sources.end()) continue;
      for (const std::string& repository : known->second) {
        if (out.size() < kMaxRepositories) out.insert(repository);
      }
    }
    return {out.begin(), out.end()};
  }

  const ImageStore& store_;
  const PushOptions& options_;
};

// "docker.io/library/alpine:latest" of what the user called it.
std::string full_name_of(const Image& image, const std::string& word) {
  const Result<ImageName> name = parse_image_name(word);
  if (!name.ok()) return image.names.empty() ? std::string() : image.names.front();
  for (const std::string& candidate : local_candidates(*name)) {
    const std::string full = cat(candidate, name->suffix());
    if (std::find(image.names.begin(), image.names.end(), full) != image.names.end()) return full;
  }
  for (const std::string& full : image.names) {
    if (full.ends_with(cat("/", name->repository, name->suffix()))) return full;
  }
  return image.names.empty() || may_be_id(word) ? std::string() : image.names.front();
}

// Docker takes an archive, and asks for its size first.
Result<Ok> give_to_docker(const ImageStore& store, const Cargo& cargo, const std::string& name) {
  const std::string socket = TRY(find_docker_socket());
  const std::string tag = TRY(archive_tag(name));
  const TreeRemover remove = [](const std::string& parent, const std::string& child) {
    return sys::remove_tree(cat(parent, "/", child));
  };
  const Staging staging = TRY(Staging::create(store.path(), remove));
  const std::string path = staging.path() + "/archive.tar";
  const std::unique_ptr<FileSink> sink = TRY(open_archive_sink(path));
  if (Result<Ok> written = write_to(*sink, cargo, Destination::Kind::docker_archive, {tag}, store.path());
      !written.ok()) {
    return explain(written.error(), store.path());
  }
  const Fd file = TRY(sys::open_at(AT_FDCWD, path, O_RDONLY));
  struct stat status;
  if (::fstat(file.get(), &status) != 0) return sys_error("stat ", path);
  return import_into_docker(socket, file.get(), status.st_size);
}

// Where an image goes that nobody says a destination for.
Result<std::string> own_name(const ImageStore& store, const std::string& word) {
  const std::optional<oci::Descriptor> list = TRY(find_list(store.path(), word));
  if (list) return entry_name(*list);
  const Image image = TRY(store.get(word));
  return full_name_of(image, word);
}

}  // namespace

Result<LayerCompression> parse_compression(std::string_view text) {
  if (text == "gzip") return LayerCompression::gzip;
  if (text == "zstd") return LayerCompression::zstd;
  if (text == "zstd:chunked") return Error(0, "zstd:chunked is read but not written; use zstd");
  return Error(0, "\"", printable(text), "\": expected gzip or zstd");
}

Result<ManifestFormat> parse_manifest_format(std::string_view text) {
  if (text == "oci") return ManifestFormat::oci;
  if (text == "v2s2" || text == "docker") return ManifestFormat::docker;
  if (text == "v2s1") return Error(0, "v2s1 is Docker's format of before 2016, which moss does not write; use v2s2");
  return Error(0, "\"", printable(text), "\": expected oci or v2s2");
}

Result<ArchiveFormat> parse_archive_format(std::string_view text) {
  if (text == "docker-archive") return ArchiveFormat::docker_archive;
  if (text == "oci-archive") return ArchiveFormat::oci_archive;
  if (text == "oci-dir") return ArchiveFormat::oci_dir;
  if (text == "docker-dir") return ArchiveFormat::docker_dir;
  return Error(0, "\"", printable(text), "\": expected docker-archive, oci-archive, oci-dir or docker-dir");
}

Result<std::string> push(const ImageStore& store, const std::string& name, const std::string& destination,
                         const PushOptions& options) {
  const auto run = [&]() -> Result<std::string> {
    const Destination to = TRY(parse_destination(destination.empty() ? name : destination));
    RegistryName registry;
    if (to.kind == Destination::Kind::registry) {
      std::string target = to.path;
      if (destination.empty()) {
        target = TRY(own_name(store, name));
        if (target.empty()) return Error(0, "where to? an image without a name needs a destination");
      }
      registry = TRY(registry_name(target, destination.empty()));
    }
    Packer packer(store, options.form, options.progress);
    const Cargo cargo = TRY(pack(packer, store, name, options.all));
    if (to.kind == Destination::Kind::registry) return RegistryPush(store, options).push(cargo, registry);
    if (to.kind == Destination::Kind::docker_daemon) {
      TRY(give_to_docker(store, cargo, to.path));
      return cargo.descriptor().digest;
    }
    std::vector<std::string> names;
    if (!to.name.empty()) {
      names.push_back(to.kind == Destination::Kind::docker_archive ? TRY(archive_tag(to.name)) : to.name);
    }
    const std::unique_ptr<FileSink> sink = TRY(open_sink(to.kind, to.path));
    TRY(write_to(*sink, cargo, to.kind, names, store.path()));
    return cargo.descriptor().digest;
  };
  return run().context("push ", printable(name));
}

Result<Ok> save(const ImageStore& store, const std::vector<std::string>& names, const std::string& output,
                const SaveOptions& options) {
  const auto run = [&]() -> Result<Ok> {
    OutgoingForm form = options.form;
    Destination::Kind kind = Destination::Kind::docker_archive;
    switch (options.format) {
      case ArchiveFormat::docker_archive:
        break;
      case ArchiveFormat::oci_archive:
        kind = Destination::Kind::oci_archive;
        if (!form.format) form.format = ManifestFormat::oci;
        break;
      case ArchiveFormat::oci_dir:
        kind = Destination::Kind::oci_folder;
        if (!form.format) form.format = ManifestFormat::oci;
        break;
      case ArchiveFormat::docker_dir:
        kind = Destination::Kind::folder;
        form.format = ManifestFormat::docker;
        break;
    }
    Packer packer(store, form, options.progress);
    std::vector<NamedImage> images;
    for (size_t i = 0; i < names.size(); ++i) {
      if (i > 0 && !options.several) {
        images.front().names.push_back(TRY(full_local_name(names[i])));
        continue;
      }
      const Image image = TRY(store.get(names[i]));
      NamedImage named{TRY(packer.pack(image)), {}};
      if (std::string full = full_name_of(image, names[i]); !full.empty()) named.names.push_back(std::move(full));
      const auto same = std::find_if(images.begin(), images.end(),
                                     [&](const NamedImage& other) { return other.image.id == named.image.id; });
      if (same == images.end()) {
        images.push_back(std::move(named));
      } else {
        same->names.insert(same->names.end(), named.names.begin(), named.names.end());
      }
    }
    if (images.size() > 1 && kind != Destination::Kind::docker_archive) {
      return Error(0, "several images in one archive: only docker-archive holds them for everybody who reads it");
    }
    const std::unique_ptr<FileSink> sink = TRY(open_sink(kind, output));
    if (kind == Destination::Kind::docker_archive) {
      TRY(write_docker_archive(*sink, images, store.path()));
      return sink->finish();
    }
    Cargo cargo;
    cargo.image = std::move(images.front().image);
    return write_to(*sink, cargo, kind, images.front().names, store.path());
  };
  return run().context("save ", printable(join(names, " ")));
}

}  // namespace moss::engine
