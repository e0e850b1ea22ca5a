// An image as `podman image inspect` prints it. Tools read these names; the values are the image's own.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "layout.hh"
#include "moss/engine/store.hh"
#include "names.hh"

namespace moss::engine {

namespace {

using Json = nlohmann::ordered_json;

Json list_or_null(const std::vector<std::string>& items) { return items.empty() ? Json() : Json(items); }

// Go's way of writing a set.
Json set_of(const std::vector<std::string>& items) {
  Json out = Json::object();
  for (const std::string& item : items) out[item] = Json::object();
  return out;
}

Json run_config(const oci::ImageRunConfig& config) {
  Json out = Json::object();
  const auto text = [&](const char* name, const std::string& value) {
    if (!value.empty()) out[name] = value;
  };
  const auto list = [&](const char* name, const std::vector<std::string>& value) {
    if (!value.empty()) out[name] = value;
  };
  text("User", config.user);
  if (!config.exposed_ports.empty()) out["ExposedPorts"] = set_of(config.exposed_ports);
  list("Env", config.env);
  list("Entrypoint", config.entrypoint);
  list("Cmd", config.cmd);
  if (!config.volumes.empty()) out["Volumes"] = set_of(config.volumes);
  text("WorkingDir", config.working_dir);
  if (!config.labels.empty()) out["Labels"] = config.labels;
  text("StopSignal", config.stop_signal);
  return out;
}

}  // namespace

std::string inspect_image_json(const ImageStore& store, const Image& image) {
  // The store has the newest name first, Podman the oldest.
  const std::vector<std::string> names(image.names.rbegin(), image.names.rend());
  std::vector<std::string> tags;
  std::copy_if(names.begin(), names.end(), std::back_inserter(tags),
               [](const std::string& name) { return name.find('@') == std::string::npos; });
  const std::vector<std::string> digests = repo_digests(names, image.manifest_digest, image.digests);
  Json out;
  out["Id"] = image.id;
  out["Digest"] = image.manifest_digest;
  out["RepoTags"] = tags;
  out["RepoDigests"] = digests;
  out["Parent"] = "";
  out["Comment"] = image.config.history.empty() ? "" : image.config.history.back().comment;
  out["Created"] = image.config.created;
  out["Config"] = run_config(image.config.config);
  out["Version"] = "";
  out["Author"] = image.config.author;
  out["Architecture"] = image.config.platform.architecture;
  out["Os"] = image.config.platform.os;
  if (!image.config.platform.variant.empty()) out["Variant"] = image.config.platform.variant;
  const int64_t size = store.size(image);
  out["Size"] = size;
  out["VirtualSize"] = size;
  out["GraphDriver"] = {{"Name", "overlay"}, {"Data", nullptr}};
  out["RootFS"] = {{"Type", "layers"}, {"Layers", image.config.diff_ids}};
  out["Labels"] = image.config.config.labels.empty() ? Json() : Json(image.config.config.labels);
  out["Annotations"] = image.manifest.annotations.empty() ? Json::object() : Json(image.manifest.annotations);
  out["ManifestType"] = image.manifest.media_type.empty() ? std::string(oci::kOciManifest) : image.manifest.media_type;
  out["User"] = image.config.config.user;
  Json history = Json::array();
  for (const oci::History& step : image.config.history) {
    Json entry = {{"created", step.created}, {"created_by", step.created_by}};
    if (!step.author.empty()) entry["author"] = step.author;
    if (!step.comment.empty()) entry["comment"] = step.comment;
    if (step.empty_layer) entry["empty_layer"] = true;
    history.push_back(std::move(entry));
  }
  out["History"] = std::move(history);
  out["NamesHistory"] = list_or_null(image.names);
  // An image may say anything, in any bytes.
  return out.dump(4, ' ', false, Json::error_handler_t::replace);
}

}  // namespace moss::engine
