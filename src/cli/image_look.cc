// Looking at one image: how it was made, its layers, its names.
#include <algorithm>
#include <memory>

#include "moss/cli/report.hh"
#include "moss/engine/store.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

using engine::Image;
using engine::ImageStore;
using format::Value;

namespace {

// --- history ---

constexpr size_t kMaxStepWords = 45;

constexpr std::pair<std::string_view, std::string_view> kHistoryTitles[] = {{"CreatedSince", "CREATED"}};

struct Step {
  oci::History history;
  int64_t size = 0;
  std::string id;  // of the image for the last step; nobody kept those of the others
};

// The newest first.
std::vector<Step> steps_of(const ImageStore& store, const Image& image) {
  std::vector<Step> steps;
  size_t layer = 0;
  for (const oci::History& history : image.config.history) {
    Step step{.history = history};
    if (!history.empty_layer && layer < image.layers.size()) step.size = store.size(image, image.layers[layer++]);
    steps.push_back(std::move(step));
  }
  // A config need not tell how each layer came to be.
  for (; layer < image.layers.size(); ++layer) steps.push_back({.size = store.size(image, image.layers[layer])});
  if (!steps.empty()) steps.back().id = image.id;
  std::reverse(steps.begin(), steps.end());
  return steps;
}

struct HistoryOptions {
  std::string name;
  bool human = true;
  bool no_trunc = false;
  bool quiet = false;
  std::string format;
};

Value json_of(const Step& step) {
  Value json = Value::structure();
  json.set("id", step.id.empty() ? "<missing>" : step.id).set("created", step.history.created);
  json.set("CreatedBy", step.history.created_by).set("size", step.size).set("comment", step.history.comment);
  return json.set("Created", whole_seconds(step.history.created));
}

Value value_of(const Step& step, const HistoryOptions& options) {
  const oci::History& history = step.history;
  const std::string since = history.created.empty() ? "N/A" : ago(history.created);
  const std::string at = whole_seconds(history.created);
  std::string words = printable(history.created_by);
  if (!options.no_trunc) words = shortened(std::move(words), kMaxStepWords);
  Value value = Value::structure();
  value.set("ID", step.id.empty()    ? "<missing>"
                  : options.no_trunc ? step.id
                                     : step.id.substr(0, 12))
      .set("Created", options.human ? since : at)
      .set("CreatedAt", go_time(history.created, false))
      .set("CreatedSince", since)
      .set("CreatedBy", words)
      .set("Size", options.human ? human_size(step.size) : cat(step.size))
      .set("Comment", printable(history.comment))
      .set_hidden("Id", step.id);
  return value;
}

Result<int> show_history(const HistoryOptions& options) {
  const format::Report report = TRY(format::Report::parse(
      options.format, "table {{.ID}}\\t{{.Created}}\\t{{.CreatedBy}}\\t{{.Size}}\\t{{.Comment}}", kHistoryTitles));
  const ImageStore store(TRY(engine::find_paths()).data);
  const Image image = TRY(store.get(options.name));
  Value::List rows;
  for (const Step& step : steps_of(store, image)) {
    rows.push_back(report.is_json() ? json_of(step) : value_of(step, options));
  }
  if (options.quiet) {
    for (const Value& row : rows) print(row.find(report.is_json() ? "id" : "ID")->text() + "\n");
  } else {
    print_safely(TRY(report.text(std::move(rows), "")));
  }
  return 0;
}

// --- tree ---

// The layers of an image and of those that build on it: each layer under the one below it, with the names of the images
// whose top it is.
class LayerTree {
 public:
  LayerTree(const ImageStore& store, std::vector<Image> all) : store_(store), all_(std::move(all)) {}

  std::string head(const Image& asked) const {
    // With its names in the store's order.
    const auto listed =
        std::find_if(all_.begin(), all_.end(), [&](const Image& other) { return other.id == asked.id; });
    const Image& image = listed != all_.end() ? *listed : asked;
    return cat("Image ID: ", image.id.substr(0, 12), "\nTags:     ", names_text(image),
               "\nSize:     ", human_size(store_.size(image), "", 4), "\nImage Layers\n");
  }

  // One layer: the `count`th of an image, from the bottom.
  void add(const Image& image, size_t count, const std::string& indent, bool last, std::string& out) const {
    const engine::ImageLayer& layer = image.layers[count - 1];
    const std::string size = human_size(store_.size(image, layer), "", 4);
    out += cat(indent, last ? "\u2514\u2500\u2500 " : "\u251c\u2500\u2500 ", "ID: ", layer.diff_id.substr(7, 12),
               " Size: ", std::string(size.size() < 7 ? 7 - size.size() : 0, ' '), size);
    for (const Image& other : all_) {
      if (other.layers.size() == count && shares(other, image, count) && !other.names.empty())
        out += cat(" Top Layer of: ", names_text(other));
    }
    out += '\n';
  }

  // What builds on the first `count` layers of an image.
  void add_above(const Image& image, size_t count, const std::string& indent, std::string& out) const {
    std::vector<const Image*> next;
    for (const Image& other : all_) {
      const bool builds_on = other.layers.size() > count && shares(other, image, count);
      const bool known = std::any_of(next.begin(), next.end(),
                                     [&](const Image* image_known) { return shares(*image_known, other, count + 1); });
      if (builds_on && !known) next.push_back(&other);
    }
    for (const Image* child : next) {
      const bool last = child == next.back();
      add(*child, count + 1, indent, last, out);
      add_above(*child, count + 1, indent + (last ? "    " : "\u2502   "), out);
    }
  }

 private:
  static bool shares(const Image& one, const Image& other, size_t count) {
    return one.layers.size() >= count && other.layers.size() >= count &&
           std::equal(one.layers.begin(), one.layers.begin() + static_cast<int64_t>(count), other.layers.begin(),
                      [](const auto& a, const auto& b) { return a.diff_id == b.diff_id; });
  }
  static std::string names_text(const Image& image) {
    return cat("[", join(std::vector<std::string>(image.names.rbegin(), image.names.rend()), " "), "]");
  }

  const ImageStore& store_;
  std::vector<Image> all_;
};

Result<int> show_tree(const std::string& name, bool what_requires) {
  const ImageStore store(TRY(engine::find_paths()).data);
  const Image image = TRY(store.get(name));
  const LayerTree tree(store, TRY(store.list()));
  std::string out = tree.head(image);
  const size_t count = image.layers.size();
  if (what_requires && count > 0) {
    tree.add(image, count, "", true, out);
    tree.add_above(image, count, "    ", out);
  }
  for (size_t i = 1; !what_requires && i <= count; ++i) tree.add(image, i, "", i == count, out);
  print_safely(out + "\n");
  return 0;
}

}  // namespace

void define_history(CLI::App& app) {
  auto options = std::make_shared<HistoryOptions>();
  app.add_option("IMAGE", options->name, "name or id")->required();
  if (may_be_typed("-H,--human"))
    app.add_flag("-H,--human", options->human, "sizes and times for people (the default); =false: bytes and times");
  add_flag(app, "--no-trunc", options->no_trunc, "whole ids and commands");
  add_flag(app, "-q,--quiet", options->quiet, "ids only");
  add_option(app, "--format", options->format,
             "json, table or a Go template: .ID .Created .CreatedAt .CreatedSince .CreatedBy .Size .Comment");
  app.callback([options] { finish_with([&] { return show_history(*options); }); });
}

void define_image_tree(CLI::App& app) {
  struct Options {
    std::string name;
    bool what_requires = false;
  };
  auto options = std::make_shared<Options>();
  app.add_option("IMAGE", options->name, "name or id")->required();
  add_flag(app, "--whatrequires", options->what_requires, "the images that build on it instead");
  app.callback([options] { finish_with([&] { return show_tree(options->name, options->what_requires); }); });
}

void define_image_exists(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  app.add_option("IMAGE", *name, "name or id")->required();
  app.callback([name] {
    finish_with([&]() -> Result<int> {
      const ImageStore store(TRY(engine::find_paths()).data);
      return TRY(store.find(*name)) ? 0 : 1;
    });
  });
}

void define_tag(CLI::App& app) {
  struct Options {
    std::string image;
    std::vector<std::string> names;
  };
  auto options = std::make_shared<Options>();
  app.add_option("IMAGE", options->image, "name or id")->required();
  app.add_option("NAME", options->names, "the new names; a short one is localhost/NAME")->required();
  app.callback([options] {
    finish_with([&]() -> Result<int> {
      ImageStore store(TRY(engine::find_paths()).data);
      // All names are read before the first is given.
      for (const std::string& name : options->names) TRY(engine::full_local_name(name));
      const Fd hold = TRY(store.hold());
      const Image image = TRY(store.get(options->image));
      for (const std::string& name : options->names) TRY(store.tag(image, name));
      return 0;
    });
  });
}

void define_untag(CLI::App& app) {
  struct Options {
    std::string image;
    std::vector<std::string> names;
  };
  auto options = std::make_shared<Options>();
  app.add_option("IMAGE", options->image, "name or id")->required();
  app.add_option("NAME", options->names, "the names to take; without any, all of them");
  app.callback([options] {
    finish_with([&]() -> Result<int> {
      ImageStore store(TRY(engine::find_paths()).data);
      const Fd hold = TRY(store.hold());
      const Image image = TRY(store.get(options->image));
      std::vector<std::string> names;
      for (const std::string& name : options->names) {
        const std::optional<Image> named = TRY(store.find(name));
        const std::string full = TRY(engine::full_local_name(name));
        if (!named || named->id != image.id) return Error(0, full, ": tag not known");
        names.push_back(name);
      }
      if (names.empty()) names = image.names;
      for (const std::string& name : names) TRY(store.untag(name));
      return 0;
    });
  });
}

}  // namespace moss::cli
