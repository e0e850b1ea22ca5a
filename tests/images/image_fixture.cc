// A store in a folder of its own, and small images to fill it with.
#include "image_fixture.hh"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "moss/engine/digest.hh"
#include "moss/sys/file.hh"
#include "moss/sys/ids.hh"

namespace moss::test {

namespace {

std::string digest(const std::string& content) {
  const Result<std::string> result = engine::digest_of(content);
  EXPECT_TRUE(succeeded(result));
  return result.ok() ? *result : "";
}

void write(const std::string& path, const std::string& content) {
  EXPECT_TRUE(succeeded(sys::make_dirs(path.substr(0, path.rfind('/')))));
  EXPECT_TRUE(succeeded(sys::replace_file(path, content)));
}

void list_files(const std::string& root, const std::string& below, std::vector<std::string>& out) {
  const auto names = sys::list_dir(cat(root, "/", below));
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    const std::string path = below.empty() ? name : cat(below, "/", name);
    struct stat status;
    if (::lstat(cat(root, "/", path).c_str(), &status) != 0) continue;
    const bool unpacked = below == "layers" && S_ISDIR(status.st_mode);
    if (S_ISDIR(status.st_mode) && !unpacked) {
      list_files(root, path, out);
      // Folders count where something is expected to be gone from them.
      if (below == "staging") out.push_back(path);
      continue;
    }
    std::string shown = name;
    if (const size_t end = std::min(name.find('.'), name.size()); end == 64) shown = name.substr(0, 6);
    out.push_back(cat(below, below.empty() ? "" : "/", shown, unpacked ? "/" : name.ends_with(".size") ? ".size" : ""));
  }
}

}  // namespace

LayoutWriter::LayoutWriter(std::string path) : path_(std::move(path)) {
  index_.media_type = oci::kOciIndex;
  write(path_ + "/oci-layout", "{\"imageLayoutVersion\":\"1.0.0\"}");
}

oci::Descriptor LayoutWriter::blob(const std::string& media_type, const std::string& content) {
  oci::Descriptor descriptor;
  descriptor.media_type = media_type;
  descriptor.digest = digest(content);
  descriptor.size = static_cast<int64_t>(content.size());
  write(cat(path_, "/blobs/sha256/", descriptor.digest.substr(7)), content);
  return descriptor;
}

oci::Descriptor LayoutWriter::image(const std::vector<std::string>& layers, const std::function<void(Parts&)>& edit) {
  Parts parts;
  parts.config.platform = engine::host_platform();
  parts.config.created = "2024-01-02T03:04:05Z";
  parts.manifest.media_type = oci::kOciManifest;
  for (const std::string& tar : layers) {
    parts.config.diff_ids.push_back(digest(tar));
    parts.manifest.layers.push_back(blob(std::string(oci::kOciLayerTar), tar));
  }
  if (edit) edit(parts);
  if (parts.manifest.config.digest.empty()) {
    parts.manifest.config = blob(std::string(oci::kOciConfig), oci::encode_image_config(parts.config));
  }
  return blob(std::string(oci::kOciManifest), oci::encode_manifest(parts.manifest));
}

oci::Descriptor LayoutWriter::list(const std::vector<std::string>& architectures) {
  oci::Index index;
  index.media_type = oci::kOciIndex;
  for (const std::string& architecture : architectures) {
    const oci::Platform platform{.architecture = architecture, .os = "linux"};
    oci::Descriptor entry =
        image({TarWriter().file("f", architecture).finish()}, [&](Parts& parts) { parts.config.platform = platform; });
    entry.platform = platform;
    index.manifests.push_back(std::move(entry));
  }
  return blob(std::string(oci::kOciIndex), oci::encode_index(index));
}

void LayoutWriter::add(oci::Descriptor entry, const std::string& name) {
  if (!name.empty()) entry.annotations["org.opencontainers.image.ref.name"] = name;
  index_.manifests.push_back(std::move(entry));
}

void LayoutWriter::write_index() { write(path_ + "/index.json", oci::encode_index(index_)); }

void ImageTest::SetUp() {
  base_ = cat(testing::TempDir(), "moss-images-", ::getpid(), "-", sys::random_hex(4));
  ASSERT_TRUE(succeeded(sys::make_dirs(base_)));
  store_.emplace(base_ + "/store");
}

void ImageTest::TearDown() {
  const Result<Ok> removed = sys::remove_tree(base_);
  if (removed.ok()) return;
  // Files of subordinate ids.
  const auto grants = sys::read_subordinate_ids(sys::user_name(::geteuid()), ::geteuid());
  ASSERT_TRUE(grants.ok() && !grants->empty()) << removed.error().to_string();
  const IdMap map{sys::id_ranges(::geteuid(), grants->uids), sys::id_ranges(::getegid(), grants->gids)};
  const auto code = sys::run_in_user_namespace(map, [&] { return sys::remove_tree(base_).ok() ? 0 : 1; });
  EXPECT_TRUE(code.ok() && *code == 0);
}

IdMap ImageTest::single_id() { return {{{0, ::geteuid(), 1}}, {{0, ::getegid(), 1}}}; }

std::string ImageTest::layer(const std::string& file, const std::string& content) {
  return TarWriter().file(file, content).finish();
}

std::string ImageTest::simple_layout(const std::string& name, const std::string& content) {
  LayoutWriter writer(cat(base_, "/layout-", sys::random_hex(4)));
  writer.add(writer.image({layer("f", content)}), name);
  writer.write_index();
  return writer.path();
}

Result<std::vector<engine::Image>> ImageTest::load(const std::string& source) {
  return engine::load(*store_, source, {.map = single_id()});
}

bool ImageTest::is_settled() const {
  for (int i = 0; i < 1000 && sys::exists(store_->path() + "/unsynced"); ++i) ::usleep(10'000);
  return !sys::exists(store_->path() + "/unsynced");
}

std::vector<std::string> ImageTest::store_files() const {
  EXPECT_TRUE(is_settled());
  std::vector<std::string> out;
  list_files(store_->path(), "", out);
  std::sort(out.begin(), out.end());
  return out;
}

}  // namespace moss::test
