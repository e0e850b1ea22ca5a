// Values of unit properties in annotations, written as GVariant text: what `busctl` and `gdbus` take.
// See https://docs.gtk.org/glib/gvariant-text-format.html. Scalars and lists of strings: more no unit property needs.
#include <array>
#include <string>

#include "runtime/cgroup/unit.hh"

namespace moss::runtime {

namespace {

struct TypeWord {
  std::string_view word;
  std::string_view signature;
};
constexpr std::array<TypeWord, 10> kTypeWords = {{{"boolean", "b"},
                                                  {"byte", "y"},
                                                  {"int16", "n"},
                                                  {"uint16", "q"},
                                                  {"int32", "i"},
                                                  {"uint32", "u"},
                                                  {"int64", "x"},
                                                  {"uint64", "t"},
                                                  {"double", "d"},
                                                  {"string", "s"}}};

template <typename Number>
bool fits(std::string_view text) {
  return parse_number<Number>(text).has_value();
}

bool is_number_of(std::string_view signature, std::string_view text) {
  switch (signature[0]) {
    case 'y':
      return fits<uint8_t>(text);
    case 'n':
      return fits<int16_t>(text);
    case 'q':
      return fits<uint16_t>(text);
    case 'i':
      return fits<int32_t>(text);
    case 'u':
      return fits<uint32_t>(text);
    case 'x':
      return fits<int64_t>(text);
    case 't':
      return fits<uint64_t>(text);
    case 'd':
      return take_decimal(text).has_value() && text.empty();
    default:
      return false;
  }
}

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(trim(text)) {}

  Result<UnitProperty> property(const std::string& name) {
    UnitProperty property{.name = name, .signature = type(), .values = {}};
    if (peek() == '[') {
      if (property.signature.empty()) property.signature = "as";
      if (property.signature != "as") return Error(0, "only lists of strings are known here");
      property.values = TRY(strings());
    } else if (peek() == '\'' || peek() == '"') {
      if (property.signature.empty()) property.signature = "s";
      if (property.signature != "s") return Error(0, "a quoted text is no ", property.signature);
      property.values = {TRY(quoted())};
    } else {
      property.values = {TRY(word(property.signature))};
    }
    skip_spaces();
    if (!text_.empty()) return Error(0, "\"", excerpt(text_, 40), "\" follows after the value");
    return property;
  }

 private:
  char peek() const { return text_.empty() ? '\0' : text_.front(); }
  void skip_spaces() {
    while (!text_.empty() && text_.front() == ' ') text_.remove_prefix(1);
  }

  // "uint64 " or "@as " in front of a value.
  std::string type() {
    const auto [first, rest] = cut(text_, ' ');
    if (!rest) return "";
    std::string signature;
    if (first.starts_with('@')) signature = first.substr(1);
    for (const TypeWord& type : kTypeWords) {
      if (type.word == first) signature = type.signature;
    }
    if (signature.empty()) return "";
    text_ = *rest;
    skip_spaces();
    return signature;
  }

  Result<std::string> word(std::string& signature) {
    const std::string_view word = text_.substr(0, text_.find(' '));
    text_.remove_prefix(word.size());
    if (word == "true" || word == "false") {
      if (signature.empty()) signature = "b";
      if (signature != "b") return Error(0, word, " is no ", signature);
      return std::string(word);
    }
    if (signature.empty()) signature = word.find_first_of(".e") == std::string_view::npos ? "i" : "d";
    if (signature.size() != 1 || !is_number_of(signature, word)) {
      return Error(0, "\"", excerpt(word, 40), "\" is no value of type ", signature,
                   "; write it as in: uint64 5, 'text', true, ['a', 'b']");
    }
    return std::string(word);
  }

  Result<std::string> quoted() {
    const char quote = peek();
    text_.remove_prefix(1);
    std::string out;
    while (peek() != quote) {
      if (text_.empty()) return Error(0, "a quote is not closed");
      if (peek() == '\\') {
        text_.remove_prefix(1);
        constexpr std::string_view kFrom = "nt\\'\"";
        constexpr std::string_view kTo = "\n\t\\'\"";
        const size_t which = text_.empty() ? std::string_view::npos : kFrom.find(peek());
        if (which == std::string_view::npos) return Error(0, "a backslash before nothing it could mean");
        out += kTo[which];
      } else {
        out += peek();
      }
      text_.remove_prefix(1);
    }
    text_.remove_prefix(1);
    return out;
  }

  Result<std::vector<std::string>> strings() {
    std::vector<std::string> out;
    text_.remove_prefix(1);
    skip_spaces();
    while (peek() != ']') {
      if (peek() != '\'' && peek() != '"') return Error(0, "only lists of strings are known here");
      out.push_back(TRY(quoted()));
      skip_spaces();
      if (peek() == ',') {
        text_.remove_prefix(1);
        skip_spaces();
      } else if (peek() != ']') {
        return Error(0, "a list is not closed");
      }
    }
    text_.remove_prefix(1);
    return out;
  }

  std::string_view text_;
};

}  // namespace

Result<UnitProperty> parse_property(const std::string& name, std::string_view text) {
  UnitProperty property = TRY(Reader(text).property(name));
  const bool is_seconds = name.ends_with("Sec") && !name.ends_with("USec");
  if (!is_seconds) return property;
  const auto seconds = parse_number<uint64_t>(property.values.empty() ? "" : property.values[0]);
  if (!seconds || *seconds > UINT64_MAX / 1'000'000) return Error(0, "expected a number of seconds");
  return UnitProperty{cat(name.substr(0, name.size() - 3), "USec"), "t", {cat(*seconds * 1'000'000)}};
}

}  // namespace moss::runtime
