// Pulling: names to registries, documents to an image and its layers.
#include "moss/engine/pull.hh"

#include <sys/utsname.h>

#include <algorithm>

#include "http.hh"
#include "ingest.hh"
#include "layer_pull.hh"
#include "names.hh"
#include "registries_conf.hh"
#include "registry.hh"
#include "resolve.hh"
#include "signatures.hh"

namespace moss::engine {

namespace {

// Where one full name may be had, tried in turn; the last one's error counts.
class Puller {
 public:
  Puller(ImageStore& store, Ingest& ingest, HttpClient& http, const RegistriesConf& conf, const TrustPolicy& policy,
         const PullOptions& options)
      : store_(store), ingest_(ingest), http_(http), conf_(conf), policy_(policy), options_(options) {}

  Result<Image> pull(const std::string& repository, const ImageName& name) {
    std::optional<Error> last;
    for (const Endpoint& endpoint : TRY(endpoints(conf_, repository, !name.digest.empty()))) {
      Result<Image> image = pull_from(endpoint, repository, name);
      if (image.ok()) return image;
      last = image.error();
    }
    return *last;
  }

 private:
  Result<Image> pull_from(const Endpoint& endpoint, const std::string& repository, const ImageName& name) {
    Registry registry = TRY(Registry::connect(http_, endpoint, repository,
                                              {.access = options_.access,
                                               .credential_helpers = conf_.credential_helpers,
                                               .retries = options_.retries,
                                               .retry_delay_ms = options_.retry_delay_ms,
                                               .probe = false}));
    const std::string full_name = cat(repository, name.suffix());
    std::optional<Image> before = TRY(store_.find(full_name));
    if (!before) TRY(ingest_.prepare().context("start unpacking"));
    const std::string& wanted = name.digest.empty() ? name.tag : name.digest;
    std::string text = TRY(registry.get_manifest(wanted, kMaxManifestBytes));
    if (!name.digest.empty()) {
      const oci::Digest digest = TRY(oci::Digest::parse(name.digest));
      const std::string found = TRY(digest_of(text, digest.algorithm()));
      if (found != name.digest)
        return Error(0, "manifest ", name.digest, ": its content has the digest ", found, "; refused");
    }
    // Who may be trusted is asked before anything else is read. A list that nobody signed may hold an image that is.
    ImageTrust trust(policy_, http_, registry, options_.retries, full_name);
    TRY(trust.judge(text));
    if (std::optional<Image> same = TRY(unchanged(std::move(before), full_name, text))) {
      TRY(trust.confirm(same->manifest_digest));
      if (options_.progress) options_.progress({.phase = Progress::Phase::unchanged, .digest = same->manifest_digest});
      ingest_.abandon(true);
      return std::move(*same);
    }
    TRY(ingest_.prepare().context("start unpacking"));
    ResolvedManifest manifest = TRY(
        resolve_manifest(std::move(text), options_.platform, [&](const oci::Descriptor& list_entry, size_t max_bytes) {
          return registry.get_manifest(list_entry.digest, max_bytes);
        }));
    TRY(trust.confirm(manifest.descriptor.digest));
    LayerPull layers(ingest_, http_, registry, options_, repository, manifest.manifest.layers);
    TRY(layers.begin_early());
    const ResolvedImage image = TRY(resolve_config(
        std::move(manifest), options_.platform,
        [&](const oci::Descriptor& config, size_t max_bytes) { return get_config(registry, config, max_bytes); }));
    Result<Ok> pulled = layers.run(image.layers);
    if (!pulled.ok()) {
      // Whole layers are kept for the next try where only the network failed.
      ingest_.abandon(layers.lost_connection());
      return pulled.error();
    }
    if (options_.progress) options_.progress({.phase = Progress::Phase::storing});
    return ingest_.commit(image, {full_name});
  }

  // The image that is here under that name, where the document that the registry has for it now is the one it was
  // pulled by.
  Result<std::optional<Image>> unchanged(std::optional<Image> image, const std::string& name, std::string_view text) {
    const std::string digest = TRY(digest_of(text));
    const auto has = [](const std::vector<std::string>& list, const std::string& what) {
      return std::find(list.begin(), list.end(), what) != list.end();
    };
    if (!image || !has(image->names, name)) return std::optional<Image>();
    if (image->manifest_digest != digest) {
      // From that list, but perhaps for another platform.
      const oci::Platform wanted = options_.platform.value_or(host_platform());
      const oci::Platform& found = image->config.platform;
      if (!has(image->digests, digest) || found.os != wanted.os || found.architecture != wanted.architecture ||
          (found.variant != wanted.variant && !wanted.variant.empty())) {
        return std::optional<Image>();
      }
    } else if (options_.platform && (image->config.platform.os != options_.platform->os ||
                                     image->config.platform.architecture != options_.platform->architecture)) {
      return std::optional<Image>();
    }
    // Layers that were unpacked for another map are unpacked for this one. Damaged ones are for the long way to tell.
    if (!store_.prepare_layers(*image, options_.map).ok()) return std::optional<Image>();
    return image;
  }

  Result<std::string> get_config(Registry& registry, const oci::Descriptor& blob, size_t max_bytes) {
    if (options_.progress)
      options_.progress({.phase = Progress::Phase::config, .digest = blob.digest, .total = blob.size});
    return registry.get_blob(blob, max_bytes);
  }

  ImageStore& store_;
  Ingest& ingest_;
  HttpClient& http_;
  const RegistriesConf& conf_;
  const TrustPolicy& policy_;
  const PullOptions& options_;
};

Result<Image> pull_from_registries(ImageStore& store, const std::string& text, const PullOptions& options) {
  const ImageName name = TRY(parse_image_name(text));
  const RegistriesConf conf = TRY(read_registries_conf());
  const TrustPolicy policy = TRY(TrustPolicy::read(options.signature_policy));
  std::vector<std::string> repositories{name.repository};
  if (name.is_short) repositories = TRY(resolve_short_name(conf, name.repository));

  // The unpacking process first: libcurl brings threads.
  Ingest ingest = TRY(Ingest::begin(store.path(), options.map, options.unpack).context("pull ", text));
  HttpClient http = TRY(HttpClient::create());
  Puller puller(store, ingest, http, conf, policy, options);
  std::vector<std::string> complaints;
  for (const std::string& repository : repositories) {
    if (options.progress) options.progress({.phase = Progress::Phase::trying, .name = cat(repository, name.suffix())});
    Result<Image> image = puller.pull(repository, name);
    if (image.ok()) return image;
    if (repositories.size() == 1) return std::move(image).context("pull ", text);
    complaints.push_back(image.error().to_string());
  }
  return Error(0, "pull ", text, ": no registry had it: ", join(complaints, "; "));
}

}  // namespace

Result<Image> pull(ImageStore& store, const std::string& text, const PullOptions& options) {
  std::optional<Image> here;
  if (options.policy != PullPolicy::always) here = TRY(store.find(text));
  if (options.policy == PullPolicy::missing && here) return std::move(*here);
  if (options.policy == PullPolicy::never) {
    if (here) return std::move(*here);
    return Error(0, "no image ", printable(text), " here, and the policy is never to ask a registry; moss pull ",
                 printable(text));
  }
  Result<Image> pulled = pull_from_registries(store, text, options);
  if (!pulled.ok() && here && options.policy == PullPolicy::newer) return std::move(*here);
  return pulled;
}

Result<PullPolicy> parse_pull_policy(std::string_view text) {
  if (text == "always") return PullPolicy::always;
  if (text == "missing" || text == "ifnotpresent" || text == "IfNotPresent") return PullPolicy::missing;
  if (text == "newer" || text == "ifnewer") return PullPolicy::newer;
  if (text == "never") return PullPolicy::never;
  return Error(0, "pull policy \"", printable(text), "\": expected always, missing, newer or never");
}

oci::Platform host_platform() {
  static constexpr std::pair<std::string_view, std::string_view> kGoNames[] = {
      {"x86_64", "amd64"},        {"i686", "386"},        {"aarch64", "arm64"},   {"armv7l", "arm"},
      {"armv6l", "arm"},          {"riscv64", "riscv64"}, {"ppc64le", "ppc64le"}, {"s390x", "s390x"},
      {"loongarch64", "loong64"}, {"mips64", "mips64le"}};
  utsname name{};
  ::uname(&name);
  oci::Platform platform{.architecture = name.machine, .os = "linux"};
  for (const auto& [kernel, go] : kGoNames) {
    if (platform.architecture == kernel) {
      platform.architecture = go;
      break;
    }
  }
  if (std::string_view(name.machine) == "armv7l") platform.variant = "v7";
  if (std::string_view(name.machine) == "armv6l") platform.variant = "v6";
  return platform;
}

Result<oci::Platform> parse_platform(std::string_view text) {
  const std::vector<std::string_view> parts = split(text, '/');
  const bool empty_part = std::any_of(parts.begin(), parts.end(), [](std::string_view part) { return part.empty(); });
  if (parts.empty() || parts.size() > 3 || empty_part) {
    return Error(0, "platform \"", printable(text),
                 "\": expected OS/ARCHITECTURE or OS/ARCHITECTURE/VARIANT, such as linux/arm64");
  }
  oci::Platform platform{.os = "linux"};
  if (parts.size() == 1) {
    platform.architecture = parts[0];
  } else {
    platform.os = parts[0];
    platform.architecture = parts[1];
    if (parts.size() == 3) platform.variant = parts[2];
  }
  // What uname(1) says is meant as well.
  if (platform.architecture == "x86_64") platform.architecture = "amd64";
  if (platform.architecture == "aarch64") platform.architecture = "arm64";
  return platform;
}

}  // namespace moss::engine
