// Importing: the tar of a root filesystem becomes an image of one layer.
#include <fcntl.h>
#include <unistd.h>

#include <optional>

#include "download.hh"
#include "ingest.hh"
#include "input.hh"
#include "moss/base/time.hh"
#include "moss/engine/archives.hh"
#include "moss/engine/image_change.hh"
#include "moss/sys/file.hh"
#include "resolve.hh"
#include "tar_files.hh"

namespace moss::engine {

namespace {

// The media type for what the file's first bytes say; nothing for compressions that layers may not have.
Result<std::optional<std::string_view>> detect_type(int fd) {
  char bytes[6] = {};
  const ssize_t got = ::pread(fd, bytes, sizeof bytes, 0);
  if (got < 0) return sys_error("read what was copied");
  const std::string_view start(bytes, static_cast<size_t>(got));
  if (start.starts_with("BZh") || start.starts_with("\xfd"
                                                    "7zXZ"))
    return std::optional<std::string_view>();
  if (start.starts_with("\x1f\x8b")) return std::optional(oci::kOciLayerGzip);
  if (start.starts_with("\x28\xb5\x2f\xfd")) return std::optional(oci::kOciLayerZstd);
  return std::optional(oci::kOciLayerTar);
}

// The layer's blob in staging: as it came where layers may be so compressed, else as plain tar.
struct Blob {
  std::string name;
  Copied content;
  std::string media_type;
};

Result<Blob> stage_blob(Ingest& ingest, int input, int64_t max_bytes, const UnpackOptions& limits) {
  Blob blob{.name = "rootfs",
            .content = TRY(copy_to_staging(ingest, input, "rootfs", max_bytes, "sha256")),
            .media_type = ""};
  const std::optional<std::string_view> type = TRY(detect_type(blob.content.file.get()));
  if (!type) {
    if (::lseek(blob.content.file.get(), 0, SEEK_SET) != 0) return sys_error("read what was copied");
    blob.content = TRY(decompress_to_staging(ingest, blob.content.file.get(), "rootfs.tar", max_bytes, limits));
    blob.name = "rootfs.tar";
  }
  blob.media_type = type.value_or(oci::kOciLayerTar);
  return blob;
}

Result<Image> import_layer(Ingest& ingest, int input, oci::ImageConfig config, const std::vector<std::string>& names,
                           const LoadOptions& options) {
  const Blob blob = TRY(stage_blob(ingest, input, options.max_archive_bytes, options.unpack));
  const Fd content = TRY(sys::open_at(ingest.staging(), blob.name, O_RDONLY));
  const size_t index = ingest.next_index();
  UnpackJob job = TRY(ingest.unpack(index, content.get()));
  Result<UnpackedLayer> unpacked = wait_for(job);
  if (!unpacked.ok()) return explain(unpacked.error(), ingest.store());
  tell_warnings(options.progress, *unpacked);

  config.diff_ids = {unpacked->diff_id};
  oci::Descriptor layer;
  layer.media_type = blob.media_type;
  layer.digest = blob.content.digest;
  layer.size = blob.content.bytes;
  const ResolvedImage image = TRY(compose_image(oci::encode_image_config(config), {layer}));
  TRY(ingest.take_layer(index, image.layers[0], blob.name, *unpacked, std::nullopt));
  return ingest.commit(image, names);
}

}  // namespace

Result<Image> import_rootfs(ImageStore& store, const std::string& file, const std::string& name,
                            const ImportOptions& options) {
  oci::ImageConfig config;
  config.created = now_rfc3339(0);
  config.platform = options.load.platform.value_or(host_platform());
  for (const std::string& change : options.changes) TRY(apply_change(config.config, change));
  std::string comment = options.message;
  if (comment.empty()) comment = file == "-" ? "imported from the standard input" : "imported from " + file;
  config.history.push_back({.created = config.created, .created_by = "moss import", .comment = std::move(comment)});
  std::vector<std::string> names;
  if (!name.empty()) names.push_back(TRY(full_local_name(name)));
  Fd input;
  if (!is_url(file)) input = TRY(open_archive(file).context("import"));
  Ingest ingest = TRY(Ingest::begin(store.path(), options.load.map, options.load.unpack).context("import ", file));
  // libcurl starts threads: not before the process that unpacks is there.
  if (is_url(file)) {
    input = TRY(download_to_staging(ingest, file, options.load.max_archive_bytes).context("import ", printable(file)));
  }
  return import_layer(ingest, input.get(), std::move(config), names, options.load).context("import ", file);
}

}  // namespace moss::engine
