// JSON has one table.
//
// A struct carries moss's names, its table the spec's. Decoding, encoding and the paths in errors all follow from it:
//
//   template <> inline constexpr auto fields<IdRange> = std::tuple(
//       required("containerID", &IdRange::inside), required("hostID", &IdRange::outside),
//       required("size", &IdRange::count, kNotZero));
//
//   config.json: linux.uidMappings[0].hostID: expected an integer in 0..2^32-1, found string
//
// Reading goes straight from the parser's events into the struct: there is no tree in between, so what no table names
// costs no memory and a document is refused at its first wrong byte. What holds for every document:
//   - unknown properties are passed over, at any depth up to kMaxDepth;
//   - a known property given twice is refused: two readers could believe two different things;
//   - null is "absent", as Go writes it for a nil list or map, and so it also satisfies a required list or map;
//   - no text may hold a NUL byte: each ends as a C string of the kernel or in a name that a person compares.
// Writing leaves out what is empty (Go's omitempty), except required members and set std::optionals.
//
// Private to oci/.
#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

#include "moss/base/result.hh"
#include "moss/base/text.hh"

namespace moss::oci {

/// Deeper documents are refused before they can hurt; the specs need less than 10 levels.
inline constexpr size_t kMaxDepth = 64;
/// More elements in one list or map than any real document has: a few bytes of JSON each, but a struct of ours each.
inline constexpr size_t kMaxElements = 100'000;
/// And all lists and maps of a document together: many of them could hold that much each.
inline constexpr size_t kMaxAllElements = 200'000;

/// An integer as JSON spells it. "-0" is negative with bits 0, and fits no type.
struct Integer {
  bool negative = false;
  uint64_t bits = 0;  ///< the value itself, as two's complement where negative
};

/// What a text or an integer must be beside having the right type. Holds for each element of a list or map too.
struct Rule {
  const char* expected;  ///< completes "expected …, found …"
  bool (*text)(std::string_view) = nullptr;
  bool (*integer)(Integer) = nullptr;
};

inline constexpr Rule kNotZero = {"an integer above 0", nullptr, [](Integer i) { return i.bits != 0; }};
inline constexpr Rule kNotNegative = {"an integer in 0..2^63-1", nullptr, [](Integer i) { return !i.negative; }};

/// The table of T: a std::tuple of what required(), optional(), … return.
template <typename T>
inline constexpr auto fields = nullptr;

// ---- the words a table is written in ----

enum class Presence : uint8_t {
  required,  ///< an error when absent, always written
  written,   ///< may be absent, but always written
  optional,  ///< may be absent, and is left out when empty
  refused,   ///< its mere presence is an error
};

/// How a member looks in JSON.
struct AsItself {};    ///< as its type says
struct AsKeys {};      ///< a list of texts, written as an object with these keys and empty objects as values
struct AsConstant {};  ///< no member at all: always the same text
struct AsRefused {};   ///< no member at all: see Presence::refused
struct AsPresence {};  ///< a bool here: whether the property is there, whatever it holds. Only for reading
template <const auto& kTable>
struct AsObject {};  ///< an object in JSON whose members belong to the same struct here

template <typename Shape, typename Get>
struct Field {
  std::string_view name;
  Presence presence;
  Get get;  ///< struct& -> member&
  const Rule* rule = nullptr;
  const char* text = "";  ///< AsConstant: the text. AsRefused: why.
};

template <typename Get>
constexpr Field<AsItself, Get> required(std::string_view name, Get get) {
  return {name, Presence::required, get};
}
template <typename Get>
constexpr Field<AsItself, Get> required(std::string_view name, Get get, const Rule& rule) {
  return {name, Presence::required, get, &rule};
}
template <typename Get>
constexpr Field<AsItself, Get> written(std::string_view name, Get get) {
  return {name, Presence::written, get};
}
template <typename Get>
constexpr Field<AsItself, Get> optional(std::string_view name, Get get) {
  return {name, Presence::optional, get};
}
template <typename Get>
constexpr Field<AsItself, Get> optional(std::string_view name, Get get, const Rule& rule) {
  return {name, Presence::optional, get, &rule};
}
/// ["/a", "/b"] here, {"/a": {}, "/b": {}} in JSON.
template <typename Get>
constexpr Field<AsKeys, Get> keys(std::string_view name, Get get) {
  return {name, Presence::optional, get};
}
/// A JSON object whose table speaks of the same struct.
template <const auto& kTable>
constexpr Field<AsObject<kTable>, std::identity> object(std::string_view name) {
  return {name, Presence::required, std::identity{}};
}
/// Always `text`; `rule` says so to the reader.
constexpr Field<AsConstant, std::identity> constant(std::string_view name, const char* text, const Rule& rule) {
  return {name, Presence::written, std::identity{}, &rule, text};
}
/// A property whose presence shows that the document is something else.
constexpr Field<AsRefused, std::identity> refused(std::string_view name, const char* why) {
  return {name, Presence::refused, std::identity{}, nullptr, why};
}
/// Whether a property is there.
template <typename Get>
constexpr Field<AsPresence, Get> presence(std::string_view name, Get get) {
  return {name, Presence::optional, get};
}
/// A member of a member: in(&ImageConfig::platform, &Platform::os).
template <typename Outer, typename Inner>
constexpr auto in(Outer outer, Inner inner) {
  return [outer, inner](auto& object) -> auto& { return object.*outer.*inner; };
}

// ---- types as the parser sees them: tables of functions, so that one parser serves every struct ----

struct Type;

/// Where the next value goes. Without a type it is passed over.
struct Slot {
  const Type* type = nullptr;
  void* at = nullptr;
  const Rule* rule = nullptr;
};

/// One line of a struct's table.
struct Entry {
  std::string_view name;
  Presence presence = Presence::optional;
  const char* why_refused = nullptr;
  Slot (*slot)(void* object) = nullptr;
};

enum class Kind : uint8_t { boolean, integer, text, list, object, map, optional };

struct Type {
  Kind kind;
  const char* expected;
  void (*set_boolean)(void* at, bool) = nullptr;
  bool (*set_integer)(void* at, Integer) = nullptr;  ///< false: out of range
  void (*set_text)(void* at, std::string&&) = nullptr;
  Slot (*append)(void* at) = nullptr;                          ///< list: one more element
  Slot (*insert)(void* at, const std::string& key) = nullptr;  ///< map: `at` of the answer is null for a known key
  bool (*finish)(void* at) = nullptr;                          ///< map: false if a key stands there twice
  Slot (*make)(void* at) = nullptr;                            ///< optional: the value inside
  std::span<const Entry> entries = {};                         ///< object
};

template <typename T>
constexpr Type make_type();
template <typename T>
inline constexpr Type type_of = make_type<T>();

template <typename T>
inline constexpr bool is_vector = false;
template <typename T>
inline constexpr bool is_vector<std::vector<T>> = true;
template <typename T>
inline constexpr bool is_map = false;
template <typename T>
inline constexpr bool is_map<std::map<std::string, T>> = true;
template <typename T>
inline constexpr bool is_optional = false;
template <typename T>
inline constexpr bool is_optional<std::optional<T>> = true;
template <typename T>
inline constexpr bool is_object_shape = false;
template <const auto& kTable>
inline constexpr bool is_object_shape<AsObject<kTable>> = true;

template <typename T>
constexpr const char* integer_range() {
  constexpr bool s = std::is_signed_v<T>;
  if constexpr (sizeof(T) == 2) return s ? "an integer in -2^15..2^15-1" : "an integer in 0..2^16-1";
  if constexpr (sizeof(T) == 4) return s ? "an integer in -2^31..2^31-1" : "an integer in 0..2^32-1";
  if constexpr (sizeof(T) == 8) return s ? "an integer in -2^63..2^63-1" : "an integer in 0..2^64-1";
}

template <typename T>
bool set_integer(void* at, Integer integer) {
  if (integer.negative && integer.bits == 0) return false;  // "-0"
  if (integer.negative ? !std::in_range<T>(static_cast<int64_t>(integer.bits)) : !std::in_range<T>(integer.bits)) {
    return false;
  }
  *static_cast<T*>(at) = static_cast<T>(integer.bits);
  return true;
}

/// A text nobody keeps: its rule is all that matters.
inline constexpr Type kCheckedText = {
    .kind = Kind::text, .expected = "string", .set_text = [](void*, std::string&&) {}};

/// AsKeys, over a std::vector<std::string>.
bool sort_keys(std::vector<std::string>& keys);
inline constexpr Type kKeysType = {
    .kind = Kind::map,
    .expected = "object",
    .insert = [](void* at, const std::string& key) -> Slot {
      static_cast<std::vector<std::string>*>(at)->push_back(key);
      return {nullptr, at, nullptr};
    },
    .finish = [](void* at) { return sort_keys(*static_cast<std::vector<std::string>*>(at)); }};

template <typename T, const auto& kTable>
inline constexpr auto kEntries = []<size_t... I>(std::index_sequence<I...>) {
  static_assert(sizeof...(I) <= 64, "the parser remembers what it saw in 64 bits");
  return std::array<Entry, sizeof...(I)>{[] {
    constexpr auto& field = std::get<I>(kTable);
    return Entry{field.name, field.presence, field.text, [](void* object) -> Slot {
                   constexpr auto& f = std::get<I>(kTable);
                   auto& member = std::invoke(f.get, *static_cast<T*>(object));
                   using Member = std::remove_reference_t<decltype(member)>;
                   using Shape = decltype([]<typename S, typename G>(const Field<S, G>&) { return S{}; }(f));
                   if constexpr (std::same_as<Shape, AsConstant> || std::same_as<Shape, AsRefused>) {
                     return {&kCheckedText, nullptr, f.rule};
                   } else if constexpr (std::same_as<Shape, AsPresence>) {
                     member = true;
                     return {};
                   } else if constexpr (std::same_as<Shape, AsKeys>) {
                     return {&kKeysType, &member, f.rule};
                   } else if constexpr (is_object_shape<Shape>) {
                     return [] < const auto & kInner > (AsObject<kInner>, Member & m) -> Slot {
                       static constexpr Type kType = {
                           .kind = Kind::object, .expected = "object", .entries = kEntries<Member, kInner>};
                       return {&kType, &m, nullptr};
                     }(Shape{}, member);
                   } else {
                     return {&type_of<Member>, &member, f.rule};
                   }
                 }};
  }()...};
}(std::make_index_sequence<std::tuple_size_v<std::remove_cvref_t<decltype(kTable)>>>{});

template <typename T>
constexpr Type make_type() {
  if constexpr (std::same_as<T, bool>) {
    return {.kind = Kind::boolean, .expected = "true or false", .set_boolean = [](void* at, bool value) {
              *static_cast<bool*>(at) = value;
            }};
  } else if constexpr (std::integral<T>) {
    return {.kind = Kind::integer, .expected = integer_range<T>(), .set_integer = &set_integer<T>};
  } else if constexpr (std::same_as<T, std::string>) {
    return {.kind = Kind::text, .expected = "string", .set_text = [](void* at, std::string&& text) {
              *static_cast<std::string*>(at) = std::move(text);
            }};
  } else if constexpr (is_vector<T>) {
    return {.kind = Kind::list, .expected = "list", .append = [](void* at) -> Slot {
              return {&type_of<typename T::value_type>, &static_cast<T*>(at)->emplace_back(), nullptr};
            }};
  } else if constexpr (is_map<T>) {
    return {.kind = Kind::map, .expected = "object", .insert = [](void* at, const std::string& key) -> Slot {
              const auto [place, is_new] = static_cast<T*>(at)->try_emplace(key);
              return {&type_of<typename T::mapped_type>, is_new ? &place->second : nullptr, nullptr};
            }};
  } else if constexpr (is_optional<T>) {
    return {.kind = Kind::optional, .expected = "", .make = [](void* at) -> Slot {
              return {&type_of<typename T::value_type>, &static_cast<T*>(at)->emplace(), nullptr};
            }};
  } else {
    return {.kind = Kind::object, .expected = "object", .entries = kEntries<T, fields<T>>};
  }
}

// ---- reading ----

/// Reads `json` into the root slot. `document` names it in errors ("config.json").
Result<Ok> read_json(std::string_view document, std::string_view json, Slot root);

template <typename T>
Result<T> decode(std::string_view document, std::string_view json) {
  T value;
  TRY(read_json(document, json, Slot{&type_of<T>, &value, nullptr}));
  return value;
}

// ---- writing ----

/// Puts JSON together token by token. Text that is not UTF-8 gets U+FFFD for each bad byte, since JSON can hold no
/// other.
class JsonWriter {
 public:
  enum class Style { compact, indented };
  explicit JsonWriter(Style style) : indented_(style == Style::indented) {}

  void open(char bracket);
  void close(char bracket);
  /// Before each element of a list.
  void element();
  void key(std::string_view key);
  void text(std::string_view text);
  template <std::integral Number>
  void number(Number number) {
    detail::append(out_, number);
  }
  void boolean(bool value) { out_ += value ? "true" : "false"; }
  void null() { out_ += "null"; }
  /// 1234 is 12.34.
  void hundredths(uint64_t number) { out_ += cat(number / 100, '.', number / 10 % 10, number % 10); }
  std::string finish() &&;

 private:
  void new_line();

  std::string out_;
  bool indented_;
  bool is_first_ = true;
  size_t depth_ = 0;
};

template <typename T, typename Table>
bool is_empty_object(const T& object, const Table& table);

template <typename T>
bool is_empty(const T& value) {
  if constexpr (std::integral<T>) {
    return value == T{};
  } else if constexpr (is_optional<T>) {
    return !value.has_value();
  } else if constexpr (requires { value.empty(); }) {
    return value.empty();
  } else {
    return is_empty_object(value, fields<T>);
  }
}

template <typename T, typename Table>
bool is_empty_object(const T& object, const Table& table) {
  return std::apply(
      [&](const auto&... field) {
        return ((field.presence == Presence::refused ||
                 (field.presence == Presence::optional && is_empty(std::invoke(field.get, object)))) &&
                ...);
      },
      table);
}

template <typename T, typename Table>
void write_object(JsonWriter& writer, const T& object, const Table& table);

template <typename T>
void write_value(JsonWriter& writer, const T& value) {
  if constexpr (std::same_as<T, bool>) {
    writer.boolean(value);
  } else if constexpr (std::integral<T>) {
    writer.number(value);
  } else if constexpr (std::same_as<T, std::string>) {
    writer.text(value);
  } else if constexpr (is_vector<T>) {
    writer.open('[');
    for (const auto& element : value) {
      writer.element();
      write_value(writer, element);
    }
    writer.close(']');
  } else if constexpr (is_map<T>) {
    writer.open('{');
    for (const auto& [key, element] : value) {
      writer.key(key);
      write_value(writer, element);
    }
    writer.close('}');
  } else if constexpr (is_optional<T>) {
    write_value(writer, *value);
  } else {
    write_object(writer, value, fields<T>);
  }
}

template <typename T, typename Get>
void write_field(JsonWriter& writer, const T& object, const Field<AsItself, Get>& field) {
  const auto& member = std::invoke(field.get, object);
  if (field.presence == Presence::optional && is_empty(member)) return;
  writer.key(field.name);
  write_value(writer, member);
}

template <typename T, typename Get>
void write_field(JsonWriter& writer, const T& object, const Field<AsKeys, Get>& field) {
  const std::vector<std::string>& names = std::invoke(field.get, object);
  if (names.empty()) return;
  writer.key(field.name);
  writer.open('{');
  for (const std::string& name : names) {
    writer.key(name);
    writer.open('{');
    writer.close('}');
  }
  writer.close('}');
}

template <typename T, const auto& kTable, typename Get>
void write_field(JsonWriter& writer, const T& object, const Field<AsObject<kTable>, Get>& field) {
  writer.key(field.name);
  write_object(writer, object, kTable);
}

template <typename T, typename Get>
void write_field(JsonWriter& writer, const T&, const Field<AsConstant, Get>& field) {
  writer.key(field.name);
  writer.text(field.text);
}

template <typename T, typename Get>
void write_field(JsonWriter&, const T&, const Field<AsRefused, Get>&) {}

template <typename T, typename Table>
void write_object(JsonWriter& writer, const T& object, const Table& table) {
  writer.open('{');
  std::apply([&](const auto&... field) { (write_field(writer, object, field), ...); }, table);
  writer.close('}');
}

template <typename T>
std::string encode(const T& value, JsonWriter::Style style) {
  JsonWriter writer(style);
  write_value(writer, value);
  return std::move(writer).finish();
}

}  // namespace moss::oci
