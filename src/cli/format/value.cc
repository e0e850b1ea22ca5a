// The values of a template. See the header.
#include "moss/cli/value.hh"

#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

namespace moss::cli::format {

namespace {

using Json = nlohmann::ordered_json;

// Members that are maps in Podman's structures, whatever they are members of.
constexpr std::array<std::string_view, 16> kMaps = {
    "Labels",  "Annotations", "Volumes",     "ExposedPorts", "PortBindings", "Ports",       "Networks", "Sysctls",
    "Options", "Tmpfs",       "StorageOpts", "LogOpts",      "labels",       "annotations", "options",  "registries"};
constexpr std::array<std::string_view, 14> kLists = {"NamesHistory", "Entrypoint",    "Cmd",  "Env",        "RepoTags",
                                                     "RepoDigests",  "Names",         "Args", "Mounts",     "History",
                                                     "Layers",       "EffectiveCaps", "Log",  "VolumesFrom"};

bool is_one_of(std::span<const std::string_view> names, std::string_view name) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

Value from_json(const Json& json, std::string_view name) {
  switch (json.type()) {
    case Json::value_t::boolean:
      return json.get<bool>();
    case Json::value_t::number_integer:
    case Json::value_t::number_unsigned:
      return json.get<int64_t>();
    case Json::value_t::number_float:
      return json.get<double>();
    case Json::value_t::string:
      return json.get<std::string>();
    case Json::value_t::array: {
      Value::List list;
      for (const Json& item : json) list.push_back(from_json(item, ""));
      return list;
    }
    case Json::value_t::object: {
      Value object = is_one_of(kMaps, name) ? Value::map() : Value::structure();
      for (const auto& [key, value] : json.items()) object.set(key, from_json(value, key));
      return object;
    }
    default:
      if (is_one_of(kMaps, name)) return Value::Null{Value::Null::Of::map};
      if (is_one_of(kLists, name)) return Value::Null{Value::Null::Of::list};
      return {};
  }
}

// encoding/json's escapes. What is no UTF-8 becomes the replacement character.
void append_json_text(std::string& out, std::string_view text) {
  const std::string quoted = Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
  for (const char c : quoted) {
    switch (c) {
      case '<':
        out += "\\u003c";
        break;
      case '>':
        out += "\\u003e";
        break;
      case '&':
        out += "\\u0026";
        break;
      default:
        out += c;
    }
  }
}

std::string number_text(double number) {
  char text[40];
  // Not std::floor, which would link libm to every start.
  if (number > -1e15 && number < 1e15 && static_cast<double>(static_cast<int64_t>(number)) == number) {
    ::snprintf(text, sizeof text, "%.0f", number);
  } else {
    ::snprintf(text, sizeof text, "%.17g", number);
    for (int digits = 1; digits < 17; ++digits) {
      char shorter[40];
      ::snprintf(shorter, sizeof shorter, "%.*g", digits, number);
      if (std::strtod(shorter, nullptr) == number) return shorter;
    }
  }
  return text;
}

}  // namespace

Value::Value(const std::map<std::string, std::string>& of) : data_(Object{.is_map = true, .members = {}}) {
  for (const auto& [name, value] : of) set(name, value);
}

Value::Value(const std::vector<std::string>& of) : data_(List(of.begin(), of.end())) {}

Value& Value::set(std::string name, Value value) {
  std::get<Object>(data_).members.push_back(
      {.name = std::move(name), .value = std::make_shared<const Value>(std::move(value)), .hidden = false});
  return *this;
}

Value& Value::set_hidden(std::string name, Value value) {
  set(std::move(name), std::move(value));
  std::get<Object>(data_).members.back().hidden = true;
  return *this;
}

Value& Value::replace(const std::string& name, Value value) {
  for (Object::Member& member : std::get<Object>(data_).members) {
    if (member.name != name) continue;
    member.value = std::make_shared<const Value>(std::move(value));
    return *this;
  }
  return set(name, std::move(value));
}

const Value* Value::find(std::string_view name) const {
  const Object* object = as_object();
  if (object == nullptr) return nullptr;
  for (const Object::Member& member : object->members) {
    if (member.name == name) return member.value.get();
  }
  return nullptr;
}

const char* Value::kind() const {
  static constexpr const char* kNames[] = {"nil",    "no value", "boolean", "integer",
                                           "number", "string",   "list",    "object"};
  return kNames[data_.index()];
}

bool Value::is_true() const {
  if (const bool* is = as_bool()) return *is;
  if (const int64_t* number = as_integer()) return *number != 0;
  if (const double* number = as_number()) return *number != 0;
  if (const std::string* text = as_text()) return !text->empty();
  if (const List* list = as_list()) return !list->empty();
  if (const Object* object = as_object()) return !object->is_map || !object->members.empty();
  return as_time() != nullptr;
}

std::vector<const Object::Member*> shown_members(const Object& object) {
  std::vector<const Object::Member*> shown;
  for (const Object::Member& member : object.members) {
    if (!member.hidden) shown.push_back(&member);
  }
  if (object.is_map) {
    std::stable_sort(shown.begin(), shown.end(),
                     [](const auto* one, const auto* other) { return one->name < other->name; });
  }
  return shown;
}

std::string Value::text() const {
  if (const Time* time = as_time()) return time->shown;
  if (is_missing()) return "<no value>";
  if (const bool* is = as_bool()) return *is ? "true" : "false";
  if (const int64_t* number = as_integer()) return std::to_string(*number);
  if (const double* number = as_number()) return number_text(*number);
  if (const std::string* text = as_text()) return *text;
  if (const List* list = as_list()) {
    std::string out = "[";
    for (const Value& item : *list) out += cat(out.size() > 1 ? " " : "", item.text());
    return out + "]";
  }
  if (const Object* object = as_object()) {
    std::string out = object->is_map ? "map[" : "{";
    bool first = true;
    for (const Object::Member* member : shown_members(*object)) {
      if (!first) out += ' ';
      first = false;
      if (object->is_map) out += member->name + ":";
      out += member->value->text();
    }
    return out + (object->is_map ? "]" : "}");
  }
  const Null::Of of = as_null()->of;
  return of == Null::Of::list ? "[]" : of == Null::Of::map ? "map[]" : "<nil>";
}

std::string Value::json(std::string_view indent) const {
  std::string out;
  append_json(out, indent, 0);
  return out;
}

void Value::append_json(std::string& out, std::string_view indent, size_t depth) const {
  const auto new_line = [&](size_t to) {
    if (indent.empty()) return;
    out += '\n';
    for (size_t i = 0; i < to; ++i) out += indent;
  };
  if (const std::string* text = as_text()) {
    append_json_text(out, *text);
  } else if (const Time* time = as_time()) {
    append_json_text(out, time->rfc3339);
  } else if (const List* list = as_list()) {
    out += '[';
    for (const Value& item : *list) {
      if (&item != list->data()) out += ',';
      new_line(depth + 1);
      item.append_json(out, indent, depth + 1);
    }
    if (!list->empty()) new_line(depth);
    out += ']';
  } else if (const Object* object = as_object()) {
    out += '{';
    const std::vector<const Object::Member*> members = shown_members(*object);
    for (const Object::Member* member : members) {
      if (member != members.front()) out += ',';
      new_line(depth + 1);
      append_json_text(out, member->name);
      out += indent.empty() ? ":" : ": ";
      member->value->append_json(out, indent, depth + 1);
    }
    if (!members.empty()) new_line(depth);
    out += '}';
  } else if (as_bool() != nullptr || as_integer() != nullptr || as_number() != nullptr) {
    out += Value::text();
  } else {
    out += "null";
  }
}

Result<Value> parse_json(std::string_view text) {
  try {
    return from_json(Json::parse(text), "");
  } catch (const nlohmann::json::exception& error) {
    return Error(0, "not JSON: ", std::string_view(error.what()));
  }
}

}  // namespace moss::cli::format
