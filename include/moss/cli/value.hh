// What a template looks at: the values of a Go program as far as a user can tell them apart.
//
// Text, whole and broken numbers, booleans, lists, and objects of two kinds. A structure's fields are known: asking for
// another is an error and printing one shows its values alone. A map has any keys: one that is not there has no value,
// and they are sorted.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "moss/base/result.hh"

namespace moss::cli::format {

class Value;

/// A structure or a map, in the order in which it was filled.
struct Object {
  struct Member {
    std::string name;
    std::shared_ptr<const Value> value;
    bool hidden = false;  ///< found by its name, and neither listed nor printed
  };
  bool is_map = false;
  std::vector<Member> members;
};

class Value {
 public:
  using List = std::vector<Value>;
  /// A value that is not there (of a map), and a pointer that points nowhere: "<no value>" and "<nil>".
  struct Missing {
    bool operator==(const Missing&) const = default;
  };
  struct Null {
    enum class Of { pointer, list, map };
    Of of = Of::pointer;  ///< an empty list or map of Go's: JSON's null, but printed and looked into as one
    bool operator==(const Null&) const = default;
  };

  /// A moment: printed as Go prints it, written to JSON as it was read.
  struct Time {
    std::string rfc3339;
    std::string shown;
    bool operator==(const Time&) const = default;
  };

  Value() : data_(Null{}) {}
  Value(Null null) : data_(null) {}                           // NOLINT(google-explicit-constructor)
  Value(Time time) : data_(std::move(time)) {}                // NOLINT(google-explicit-constructor)
  Value(Missing) : data_(Missing{}) {}                        // NOLINT(google-explicit-constructor)
  Value(bool is) : data_(is) {}                               // NOLINT(google-explicit-constructor)
  Value(std::string text) : data_(std::move(text)) {}         // NOLINT(google-explicit-constructor)
  Value(std::string_view text) : data_(std::string(text)) {}  // NOLINT(google-explicit-constructor)
  Value(const char* text) : data_(std::string(text)) {}       // NOLINT(google-explicit-constructor)
  Value(double number) : data_(number) {}                     // NOLINT(google-explicit-constructor)
  Value(List list) : data_(std::move(list)) {}                // NOLINT(google-explicit-constructor)
  Value(Object object) : data_(std::move(object)) {}          // NOLINT(google-explicit-constructor)
  Value(const std::map<std::string, std::string>& of);        // NOLINT(google-explicit-constructor)
  Value(const std::vector<std::string>& of);                  // NOLINT(google-explicit-constructor)
  template <std::integral Number>
    requires(!std::same_as<Number, bool> && !std::same_as<Number, char>)
  Value(Number number) : data_(static_cast<int64_t>(number)) {}  // NOLINT(google-explicit-constructor)

  static Value structure() { return Value(Object{.is_map = false, .members = {}}); }
  static Value map() { return Value(Object{.is_map = true, .members = {}}); }

  /// Adds a member to a structure or map.
  Value& set(std::string name, Value value);
  /// Adds one that only a template that names it sees.
  Value& set_hidden(std::string name, Value value);

  /// Puts another value in a member's place; adds the member where there is none.
  Value& replace(const std::string& name, Value value);

  const bool* as_bool() const { return std::get_if<bool>(&data_); }
  const int64_t* as_integer() const { return std::get_if<int64_t>(&data_); }
  const double* as_number() const { return std::get_if<double>(&data_); }
  const std::string* as_text() const { return std::get_if<std::string>(&data_); }
  const List* as_list() const { return std::get_if<List>(&data_); }
  const Object* as_object() const { return std::get_if<Object>(&data_); }
  const Time* as_time() const { return std::get_if<Time>(&data_); }
  const Null* as_null() const { return std::get_if<Null>(&data_); }
  bool is_null() const { return std::holds_alternative<Null>(data_); }
  bool is_missing() const { return std::holds_alternative<Missing>(data_); }

  /// The member of that name, hidden or not; nothing where there is none or this is no object.
  const Value* find(std::string_view name) const;
  /// "string", "integer", "list", … for errors.
  const char* kind() const;
  /// Go's text/template "truth": everything but false, 0, "", an empty list or map, and nothing.
  bool is_true() const;
  /// As Go's fmt prints it: "[a b]", "map[k:v]", "{v1 v2}".
  std::string text() const;
  /// As Go's encoding/json writes it: keys of maps sorted, "<" as \u003c. With an `indent`, one member a line.
  std::string json(std::string_view indent = "") const;

 private:
  void append_json(std::string& out, std::string_view indent, size_t depth) const;
  std::variant<Null, Missing, bool, int64_t, double, std::string, List, Object, Time> data_;
};

/// The members of an object that are to be seen, a map's sorted by name.
std::vector<const Object::Member*> shown_members(const Object& object);

/// JSON as values. Objects are structures, but those under a name that is a map wherever it occurs ("Labels"); a null
/// stands for an empty map or list under such a name. Error: not JSON.
Result<Value> parse_json(std::string_view text);

}  // namespace moss::cli::format
