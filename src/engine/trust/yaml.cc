// YAML by libyaml. See the header.
#include "yaml.hh"

#include <yaml.h>

#include <nlohmann/json.hpp>

#include "moss/sys/dynamic_library.hh"

namespace moss::engine {

namespace {

constexpr int kMaxDepth = 32;
constexpr int kMaxNodes = 100'000;  // aliases may name a node again and again

struct Yaml {
  decltype(&::yaml_parser_initialize) initialize;
  decltype(&::yaml_parser_set_input_string) set_input;
  decltype(&::yaml_parser_load) load;
  decltype(&::yaml_parser_delete) parser_delete;
  decltype(&::yaml_document_get_root_node) root;
  decltype(&::yaml_document_get_node) node;
  decltype(&::yaml_document_delete) document_delete;
};

Result<Yaml> load_yaml() {
  const sys::DynamicLibrary library = TRY(sys::DynamicLibrary::open("libyaml-0.so.2", "libyaml-0-2"));
  Yaml yaml{};
  yaml.initialize = TRY(library.function<decltype(::yaml_parser_initialize)>("yaml_parser_initialize"));
  yaml.set_input = TRY(library.function<decltype(::yaml_parser_set_input_string)>("yaml_parser_set_input_string"));
  yaml.load = TRY(library.function<decltype(::yaml_parser_load)>("yaml_parser_load"));
  yaml.parser_delete = TRY(library.function<decltype(::yaml_parser_delete)>("yaml_parser_delete"));
  yaml.root = TRY(library.function<decltype(::yaml_document_get_root_node)>("yaml_document_get_root_node"));
  yaml.node = TRY(library.function<decltype(::yaml_document_get_node)>("yaml_document_get_node"));
  yaml.document_delete = TRY(library.function<decltype(::yaml_document_delete)>("yaml_document_delete"));
  return yaml;
}

class Converter {
 public:
  Converter(const Yaml& yaml, yaml_document_t& document) : yaml_(yaml), document_(document) {}

  Result<nlohmann::json> convert(const yaml_node_t& node, int depth = 0) {
    const size_t line = node.start_mark.line + 1;
    if (depth > kMaxDepth || ++nodes_ > kMaxNodes) return Error(0, "line ", line, ": too deep or too large");
    switch (node.type) {
      case YAML_SCALAR_NODE:
        return nlohmann::json(text_of(node));
      case YAML_SEQUENCE_NODE: {
        nlohmann::json list = nlohmann::json::array();
        for (const yaml_node_item_t* item = node.data.sequence.items.start; item < node.data.sequence.items.top; ++item)
          list.push_back(TRY(convert(*yaml_.node(&document_, *item), depth + 1)));
        return list;
      }
      case YAML_MAPPING_NODE: {
        nlohmann::json object = nlohmann::json::object();
        for (const yaml_node_pair_t* pair = node.data.mapping.pairs.start; pair < node.data.mapping.pairs.top; ++pair) {
          const yaml_node_t& key = *yaml_.node(&document_, pair->key);
          if (key.type != YAML_SCALAR_NODE) return Error(0, "line ", line, ": a key that is no text");
          const std::string name = text_of(key);
          if (object.contains(name))
            return Error(0, "line ", key.start_mark.line + 1, ": ", excerpt(name, 100), " is there twice");
          object[name] = TRY(convert(*yaml_.node(&document_, pair->value), depth + 1));
        }
        return object;
      }
      default:
        return nlohmann::json();
    }
  }

 private:
  static std::string text_of(const yaml_node_t& node) {
    return {reinterpret_cast<const char*>(node.data.scalar.value), node.data.scalar.length};
  }
  const Yaml& yaml_;
  yaml_document_t& document_;
  int nodes_ = 0;
};

}  // namespace

Result<nlohmann::json> parse_yaml(std::string_view text) {
  static const Result<Yaml> loaded = load_yaml();
  if (!loaded.ok()) return loaded.error();
  const Yaml& yaml = *loaded;
  yaml_parser_t parser;
  if (yaml.initialize(&parser) == 0) return Error(ENOMEM, "read YAML");
  yaml.set_input(&parser, reinterpret_cast<const unsigned char*>(text.data()), text.size());
  yaml_document_t document;
  if (yaml.load(&parser, &document) == 0) {
    Error error(0, "line ", parser.problem_mark.line + 1, ": ",
                parser.problem != nullptr ? parser.problem : "not YAML");
    yaml.parser_delete(&parser);
    return error;
  }
  const yaml_node_t* root = yaml.root(&document);
  Result<nlohmann::json> converted = root != nullptr ? Converter(yaml, document).convert(*root) : nlohmann::json();
  yaml.document_delete(&document);
  yaml.parser_delete(&parser);
  return converted;
}

}  // namespace moss::engine
