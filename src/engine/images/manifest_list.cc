// Making and changing lists. See moss/engine/manifest_list.hh.
#include "moss/engine/manifest_list.hh"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "http.hh"
#include "layout.hh"
#include "lists.hh"
#include "moss/engine/digest.hh"
#include "moss/sys/file.hh"
#include "names.hh"
#include "registries_conf.hh"
#include "registry.hh"
#include "resolve.hh"

namespace moss::engine {

namespace {

struct StoredList {
  oci::Descriptor entry;  ///< of index.json
  oci::Index index;
};

Result<StoredList> get_list(const ImageStore& store, const std::string& name) {
  const std::optional<oci::Descriptor> entry = TRY(find_list(store.path(), name));
  if (!entry) {
    const Result<std::optional<Image>> image = store.find(name);
    if (image.ok() && *image) return Error(0, printable(name), " is an image and not a list");
    return Error(0, printable(name), ": no list of that name; moss manifest create makes one");
  }
  const std::string text = TRY(read_list_text(store.path(), *entry));
  return StoredList{*entry, TRY(oci::decode_index(text))};
}

// A list's document that no name leads to any more. Where others are at work it is left to a later command.
Result<Ok> drop_document(const ImageStore& store, const oci::Digest& digest) {
  const std::optional<Fd> users = TRY(try_hold_folder(store.path(), Hold::alone));
  if (!users) return Ok{};
  const std::optional<Fd> adders = TRY(try_hold_folder(store.path() + "/blobs", Hold::alone));
  if (!adders) return Ok{};
  const Referenced referenced = TRY(find_referenced(store.path(), Unreadable::refuse));
  if (!referenced.blobs.contains(digest.text())) ::unlink(blob_path(store.path(), digest).c_str());
  return Ok{};
}

// The list's text among the blobs, then its name: a reader sees the old list or the new one.
Result<std::string> put_list(const ImageStore& store, const std::string& name, const oci::Index& index,
                             const std::optional<oci::Digest>& before) {
  const std::string text = oci::encode_index(index);
  if (text.size() > kMaxManifestBytes) return Error(EFBIG, "list ", name);
  const oci::Descriptor entry = TRY(descriptor_of(oci::kOciIndex, text));
  const oci::Digest digest = TRY(oci::Digest::parse(entry.digest));
  // Nobody collects it before it has its name.
  Fd adding = TRY(hold_folder(store.path() + "/blobs", Hold::shared));
  Result<Ok> written = sys::replace_file(blob_path(store.path(), digest), text, 0644, sys::Sync::yes);
  if (!written.ok()) return explain(written.error(), store.path());
  TRY(edit_index(store.path(), [&](oci::Index& all) -> Result<Ok> {
    set_name(all, entry, name);
    return Ok{};
  }));
  adding.reset();
  // The new list is there, whatever becomes of the old one.
  if (before) (void)drop_document(store, *before);
  return entry.digest;
}

// Two moss that change one list do so one after the other.
Result<NameLock> lock_list(const ImageStore& store, const std::string& full_name) {
  const std::string digest = TRY(digest_of(full_name));
  return NameLock::acquire(store.path(), cat("list-", digest.substr(7, 16)));
}

void apply(const ListEntryChange& change, oci::Descriptor& entry) {
  if (!entry.platform) entry.platform.emplace();
  const auto set = [](auto& to, const auto& from) {
    if (!from.empty()) to = from;
  };
  set(entry.platform->architecture, change.architecture);
  set(entry.platform->os, change.os);
  set(entry.platform->variant, change.variant);
  set(entry.platform->os_version, change.os_version);
  set(entry.platform->os_features, change.os_features);
  set(entry.platform->features, change.features);
  for (const auto& [name, value] : change.annotations) entry.annotations[name] = value;
}

Result<oci::Descriptor> describe(const ImageStore& store, const Image& image) {
  if (image.store != store.path()) {
    return Error(0, "image ", image.id.substr(0, 12), " lies in the additional store ", image.store,
                 "; a list keeps only what is in your own");
  }
  const oci::Digest digest = TRY(oci::Digest::parse(image.manifest_digest));
  struct stat status;
  if (::stat(blob_path(store.path(), digest).c_str(), &status) != 0) {
    return sys_error("image ", image.id.substr(0, 12), ": its manifest");
  }
  oci::Descriptor entry{
      .media_type = image.manifest.media_type.empty() ? std::string(oci::kOciManifest) : image.manifest.media_type,
      .digest = image.manifest_digest,
      .size = status.st_size};
  entry.platform = image.config.platform;
  entry.artifact_type = image.manifest.artifact_type;
  return entry;
}

void put_entry(oci::Index& index, oci::Descriptor entry) {
  const auto known = std::find_if(index.manifests.begin(), index.manifests.end(),
                                  [&](const oci::Descriptor& other) { return other.digest == entry.digest; });
  if (known == index.manifests.end()) {
    index.manifests.push_back(std::move(entry));
  } else {
    *known = std::move(entry);
  }
}

// What a registry has under a name, and where.
struct Remote {
  std::string repository;
  std::string text;
};

Result<Remote> fetch(const std::string& text, const PullOptions& options) {
  const ImageName name = TRY(parse_image_name(text));
  const RegistriesConf conf = TRY(read_registries_conf());
  std::vector<std::string> repositories{name.repository};
  if (name.is_short) repositories = TRY(resolve_short_name(conf, name.repository));
  HttpClient http = TRY(HttpClient::create());
  std::vector<std::string> complaints;
  for (const std::string& repository : repositories) {
    for (const Endpoint& endpoint : TRY(endpoints(conf, repository, !name.digest.empty()))) {
      Registry registry = TRY(Registry::connect(http, endpoint, repository,
                                                {.access = options.access,
                                                 .credential_helpers = conf.credential_helpers,
                                                 .retries = options.retries,
                                                 .retry_delay_ms = options.retry_delay_ms}));
      Result<std::string> document =
          registry.get_manifest(name.digest.empty() ? name.tag : name.digest, kMaxManifestBytes);
      if (document.ok()) return Remote{repository, std::move(document).value()};
      complaints.push_back(document.error().to_string());
    }
  }
  return Error(0, join(complaints, "; "));
}

// An image pulled for a list alone is named while it is not in the list yet; afterwards the list keeps it.
class ForList {
 public:
  ForList(ImageStore& store, const IdMap& map) : store_(store), map_(map) {}
  ForList(const ForList&) = delete;
  ForList& operator=(const ForList&) = delete;
  ~ForList() {
    if (names_.empty()) return;
    (void)edit_index(store_.path(), [&](oci::Index& index) -> Result<Ok> {
      std::erase_if(index.manifests, [&](const oci::Descriptor& entry) {
        return std::find(names_.begin(), names_.end(), entry_name(entry)) != names_.end();
      });
      return Ok{};
    });
    // Where the list was not made after all, nobody keeps them.
    (void)store_.collect_garbage(map_);
  }

  Result<std::string> pull(const std::string& repository, const std::string& digest, const PullOptions& options) {
    std::string name = cat(repository, "@", digest);
    if (TRY(store_.find(name))) return name;
    TRY(engine::pull(store_, name, options));
    names_.push_back(name);
    return name;
  }

 private:
  ImageStore& store_;
  const IdMap& map_;
  std::vector<std::string> names_;
};

// Names in the store for what `image` means: several for a list of which all are wanted.
Result<std::vector<std::string>> fetch_all(ForList& pulled, const std::string& image, const ListAddOptions& options) {
  const Remote remote = TRY(fetch(image, options.pull));
  PullOptions pull = options.pull;
  pull.platform.reset();
  const std::string digest = TRY(digest_of(remote.text));
  std::vector<std::string> names;
  if (!TRY(is_list_text(remote.text))) {
    names.push_back(TRY(pulled.pull(remote.repository, digest, pull)));
    return names;
  }
  const oci::Index index = TRY(oci::decode_index(remote.text));
  if (!options.all) {
    const oci::Descriptor entry = TRY(choose_entry(index, options.pull.platform.value_or(host_platform())));
    names.push_back(TRY(pulled.pull(remote.repository, entry.digest, pull)));
    return names;
  }
  for (const oci::Descriptor& entry : index.manifests) {
    // Builders put notes about an image beside it, which are no images.
    if (entry.platform && entry.platform->os == "unknown") {
      if (options.pull.progress) {
        options.pull.progress({.phase = Progress::Phase::warning,
                               .name = cat("left out, as it is no image but a note about one: ", entry.digest),
                               .digest = entry.digest});
      }
      continue;
    }
    names.push_back(TRY(pulled.pull(remote.repository, entry.digest, pull)));
  }
  return names;
}

// The entries that `image` stands for: of the store, or of a registry.
Result<Ok> add_entries(ImageStore& store, ForList& pulled, oci::Index& index, const std::string& image,
                       const ListAddOptions& options) {
  std::string word = image;
  bool remote = word.starts_with("docker://");
  constexpr std::string_view kLocal = "containers-storage:";
  const bool local = word.starts_with(kLocal);
  if (local) word = word.substr(kLocal.size());
  for (const std::string_view other : {"oci:", "oci-archive:", "docker-archive:", "dir:", "docker-daemon:"}) {
    if (word.starts_with(other)) return Error(0, printable(image), ": load it first (moss load, moss pull)");
  }
  const std::optional<oci::Descriptor> list = remote ? std::nullopt : TRY(find_list(store.path(), word));
  if (list && options.all) {
    const std::string text = TRY(read_list_text(store.path(), *list));
    for (oci::Descriptor& entry : TRY(oci::decode_index(text)).manifests) {
      apply(options.change, entry);
      put_entry(index, std::move(entry));
    }
    return Ok{};
  }
  std::vector<std::string> names{word};
  if (!remote) {
    const std::optional<Image> found = TRY(store.find(word));
    remote = !found;
    if (remote && local) return no_such_image(word);
  }
  if (remote) names = TRY(fetch_all(pulled, word, options));
  for (const std::string& name : names) {
    const std::optional<Image> found = TRY(store.find(name));
    if (!found) return Error(0, printable(name), ": the image was removed by another moss just now; try again");
    oci::Descriptor entry = TRY(describe(store, *found));
    apply(options.change, entry);
    put_entry(index, std::move(entry));
  }
  return Ok{};
}

// "sha256:…", or what an image of the store has.
Result<std::string> digest_in(const ImageStore& store, const oci::Index& index, const std::string& word) {
  const size_t at = word.find('@');
  std::string digest = at == std::string::npos ? word : word.substr(at + 1);
  if (!oci::Digest::parse(digest).ok()) {
    const std::optional<Image> image = TRY(store.find(word));
    if (!image) return Error(0, printable(word), ": neither a digest nor an image that is known");
    digest = image->manifest_digest;
  }
  const bool there = std::any_of(index.manifests.begin(), index.manifests.end(),
                                 [&](const oci::Descriptor& entry) { return entry.digest == digest; });
  if (!there) return Error(0, printable(word), " is not in the list");
  return digest;
}

// Reads, changes and writes a list.
Result<std::string> edit_list(const ImageStore& store, const std::string& list,
                              const std::function<Result<Ok>(oci::Index&)>& edit) {
  const std::string name = entry_name(TRY(get_list(store, list)).entry);
  const NameLock lock = TRY(lock_list(store, name));
  StoredList stored = TRY(get_list(store, list));
  TRY(edit(stored.index));
  const oci::Digest before = TRY(oci::Digest::parse(stored.entry.digest));
  return put_list(store, name, stored.index, before);
}

}  // namespace

Result<std::string> create_list(ImageStore& store, const std::string& word, const std::vector<std::string>& images,
                                const ListCreateOptions& options) {
  const auto run = [&]() -> Result<std::string> {
    const std::string name = TRY(full_local_name(word));
    TRY(make_store(store.path()));
    const NameLock lock = TRY(lock_list(store, name));
    oci::Index index;
    std::optional<oci::Digest> before;
    const oci::Index all = TRY(read_index(store.path()));
    const auto same = std::find_if(all.manifests.begin(), all.manifests.end(),
                                   [&](const oci::Descriptor& entry) { return entry_name(entry) == name; });
    if (same != all.manifests.end()) {
      if (!is_list(same->media_type)) return Error(0, "an image has the name ", name, " already");
      if (!options.amend) return Error(0, "a list has the name ", name, " already; --amend adds to it");
      index = TRY(get_list(store, name)).index;
      before = TRY(oci::Digest::parse(same->digest));
    }
    index.media_type = oci::kOciIndex;
    for (const auto& [key, value] : options.annotations) index.annotations[key] = value;
    ForList pulled(store, options.add.pull.map);
    for (const std::string& image : images) TRY(add_entries(store, pulled, index, image, options.add).context(image));
    return put_list(store, name, index, before);
  };
  return run().context("make list ", printable(word));
}

Result<std::string> add_to_list(ImageStore& store, const std::string& list, const std::string& image,
                                const ListAddOptions& options) {
  ForList pulled(store, options.pull.map);
  return edit_list(store, list, [&](oci::Index& index) { return add_entries(store, pulled, index, image, options); })
      .context("add ", printable(image), " to list ", printable(list));
}

Result<std::string> change_list_entry(ImageStore& store, const std::string& list, const std::string& word,
                                      const ListEntryChange& change) {
  return edit_list(store, list,
                   [&](oci::Index& index) -> Result<Ok> {
                     const std::string digest = TRY(digest_in(store, index, word));
                     for (oci::Descriptor& entry : index.manifests) {
                       if (entry.digest == digest) apply(change, entry);
                     }
                     return Ok{};
                   })
      .context("change list ", printable(list));
}

Result<std::string> change_list(ImageStore& store, const std::string& list,
                                const std::map<std::string, std::string>& annotations, const std::string& subject) {
  return edit_list(store, list,
                   [&](oci::Index& index) -> Result<Ok> {
                     for (const auto& [name, value] : annotations) index.annotations[name] = value;
                     if (subject.empty()) return Ok{};
                     const Image image = TRY(store.get(subject));
                     oci::Descriptor entry = TRY(describe(store, image));
                     entry.platform.reset();
                     index.subject = std::move(entry);
                     return Ok{};
                   })
      .context("change list ", printable(list));
}

Result<std::string> remove_from_list(ImageStore& store, const std::string& list, const std::string& word) {
  return edit_list(store, list,
                   [&](oci::Index& index) -> Result<Ok> {
                     const std::string digest = TRY(digest_in(store, index, word));
                     std::erase_if(index.manifests,
                                   [&](const oci::Descriptor& entry) { return entry.digest == digest; });
                     return Ok{};
                   })
      .context("change list ", printable(list));
}

Result<std::string> remove_list(ImageStore& store, const std::string& list, const RemoveOptions& options) {
  std::string name = entry_name(TRY(get_list(store, list)).entry);
  TRY(store.remove(name, options));
  return name;
}

Result<bool> list_exists(const ImageStore& store, const std::string& name) {
  return TRY(find_list(store.path(), name)).has_value();
}

Result<std::string> read_manifest(const ImageStore& store, const std::string& name, const PullOptions& options) {
  if (!name.starts_with("docker://")) {
    const std::optional<oci::Descriptor> list = TRY(find_list(store.path(), name));
    if (list) return read_list_text(store.path(), *list);
    const std::optional<Image> image = TRY(store.find(name));
    if (image) {
      const oci::Digest digest = TRY(oci::Digest::parse(image->manifest_digest));
      return sys::read_file(blob_path(image->store, digest), kMaxManifestBytes);
    }
  }
  return TRY(fetch(name, options).context("inspect ", printable(name))).text;
}

}  // namespace moss::engine
