// The functions a template can call: Go's own, and those Podman adds. A table, and each function beside it.
#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>
#include <cstdio>

#include "src/cli/format/tree.hh"

namespace moss::cli::format {

namespace {

using Arguments = std::vector<Value>;

constexpr int kMaxWidth = 10'000;
constexpr size_t kMaxTextBytes = 64u << 20;

// --- comparing ---

std::optional<double> number_of(const Value& value) {
  if (const int64_t* number = value.as_integer()) return static_cast<double>(*number);
  if (const double* number = value.as_number()) return *number;
  return std::nullopt;
}

// -1, 0 or 1. Error: values of different kinds, or that have no order.
Result<int> compare(const Value& one, const Value& other) {
  if (const int64_t *a = one.as_integer(), *b = other.as_integer(); a != nullptr && b != nullptr) {
    return *a < *b ? -1 : *a > *b ? 1 : 0;
  }
  if (const auto a = number_of(one), b = number_of(other); a && b) return *a < *b ? -1 : *a > *b ? 1 : 0;
  if (const std::string *a = one.as_text(), *b = other.as_text(); a != nullptr && b != nullptr) {
    const int order = a->compare(*b);
    return order < 0 ? -1 : order > 0 ? 1 : 0;
  }
  return Error(0, "cannot compare ", one.kind(), " with ", other.kind());
}

Result<bool> equal(const Value& one, const Value& other) {
  const auto is_nothing = [](const Value& value) { return value.is_null() || value.is_missing(); };
  if (is_nothing(one) || is_nothing(other)) return is_nothing(one) && is_nothing(other);
  if (const bool *a = one.as_bool(), *b = other.as_bool(); a != nullptr && b != nullptr) return *a == *b;
  return TRY(compare(one, other)) == 0;
}

Result<Value> call_eq(const Arguments& values) {
  for (size_t i = 1; i < values.size(); ++i) {
    if (TRY(equal(values[0], values[i]))) return Value(true);
  }
  return Value(false);
}
Result<Value> call_ne(const Arguments& values) { return Value(!TRY(equal(values[0], values[1]))); }
Result<Value> call_lt(const Arguments& values) { return Value(TRY(compare(values[0], values[1])) < 0); }
Result<Value> call_le(const Arguments& values) { return Value(TRY(compare(values[0], values[1])) <= 0); }
Result<Value> call_gt(const Arguments& values) { return Value(TRY(compare(values[0], values[1])) > 0); }
Result<Value> call_ge(const Arguments& values) { return Value(TRY(compare(values[0], values[1])) >= 0); }
Result<Value> call_not(const Arguments& values) { return Value(!values[0].is_true()); }

// --- looking into ---

Result<Value> call_len(const Arguments& values) {
  const Value& of = values[0];
  if (const std::string* text = of.as_text()) return Value(text->size());
  if (const Value::List* list = of.as_list()) return Value(list->size());
  if (const Object* object = of.as_object(); object != nullptr && object->is_map) {
    return Value(shown_members(*object).size());
  }
  if (of.is_null() && of.as_null()->of != Value::Null::Of::pointer) return Value(0);
  return Error(0, "len of ", of.kind());
}

Result<int64_t> whole_number(const Value& value) {
  if (const int64_t* number = value.as_integer()) return *number;
  return Error(0, "expected a whole number, found ", value.kind());
}

Result<Value> call_index(const Arguments& values) {
  Value at = values[0];
  for (size_t i = 1; i < values.size(); ++i) {
    if (const Value::List* list = at.as_list()) {
      const int64_t number = TRY(whole_number(values[i]));
      if (number < 0 || static_cast<uint64_t>(number) >= list->size()) {
        return Error(0, "index ", number, " is out of range: there are ", list->size());
      }
      Value next = (*list)[static_cast<size_t>(number)];
      at = std::move(next);
    } else if (at.as_object() != nullptr || at.is_null() || at.is_missing()) {
      const std::string* key = values[i].as_text();
      if (key == nullptr) return Error(0, "index of a map: expected a string, found ", values[i].kind());
      const Value* found = at.find(*key);
      // What a map of texts gives for a key it does not have.
      Value next = found != nullptr ? *found : Value("");
      at = std::move(next);
    } else {
      return Error(0, "cannot index ", at.kind());
    }
  }
  return at;
}

Result<Value> call_slice(const Arguments& values) {
  const std::string* text = values[0].as_text();
  const Value::List* list = values[0].as_list();
  if (text == nullptr && list == nullptr) return Error(0, "cannot slice ", values[0].kind());
  const auto size = static_cast<int64_t>(text != nullptr ? text->size() : list->size());
  const int64_t from = values.size() > 1 ? TRY(whole_number(values[1])) : 0;
  const int64_t to = values.size() > 2 ? TRY(whole_number(values[2])) : size;
  if (from < 0 || to < from || to > size) return Error(0, "slice ", from, ":", to, " of ", size);
  if (text != nullptr) return Value(text->substr(static_cast<size_t>(from), static_cast<size_t>(to - from)));
  return Value(Value::List(list->begin() + from, list->begin() + to));
}

// --- text ---

Result<std::string> text_of(const Value& value) {
  if (const std::string* text = value.as_text()) return *text;
  return Error(0, "expected a string, found ", value.kind());
}

Result<Value> call_join(const Arguments& values) {
  const std::string separator = TRY(text_of(values[1]));
  if (values[0].is_null() || values[0].is_missing()) return Value("");
  const Value::List* list = values[0].as_list();
  if (list == nullptr) return Error(0, "expected a list, found ", values[0].kind());
  std::string out;
  for (const Value& item : *list) out += cat(&item == list->data() ? "" : separator, item.text());
  return Value(std::move(out));
}

Result<Value> call_split(const Arguments& values) {
  const std::string text = TRY(text_of(values[0]));
  const std::string separator = TRY(text_of(values[1]));
  Value::List parts;
  size_t at = 0;
  while (!separator.empty()) {
    const size_t next = text.find(separator, at);
    if (next == std::string::npos) break;
    parts.emplace_back(text.substr(at, next - at));
    at = next + separator.size();
  }
  if (separator.empty()) {
    for (const char c : text) parts.emplace_back(std::string(1, c));
  } else {
    parts.emplace_back(text.substr(at));
  }
  return Value(std::move(parts));
}

template <typename Change>
Result<Value> changed(const Value& value, Change change) {
  std::string text = TRY(text_of(value));
  bool starts = true;
  for (char& c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x80) c = static_cast<char>(change(byte, starts));
    starts = byte < 0x80 && std::isalnum(byte) == 0 && byte != '_' && byte != '\'';
  }
  return Value(std::move(text));
}

Result<Value> call_lower(const Arguments& values) {
  return changed(values[0], [](int c, bool) { return std::tolower(c); });
}
Result<Value> call_upper(const Arguments& values) {
  return changed(values[0], [](int c, bool) { return std::toupper(c); });
}
Result<Value> call_title(const Arguments& values) {
  return changed(values[0], [](int c, bool starts) { return starts ? std::toupper(c) : c; });
}

Result<Value> call_pad(const Arguments& values) {
  const std::string text = TRY(text_of(values[0]));
  const int64_t before = TRY(whole_number(values[1]));
  const int64_t after = TRY(whole_number(values[2]));
  if (text.empty()) return Value("");
  if (before < 0 || after < 0 || before > kMaxWidth || after > kMaxWidth) return Error(0, "pad by 0..", kMaxWidth);
  return Value(std::string(static_cast<size_t>(before), ' ') + text + std::string(static_cast<size_t>(after), ' '));
}

Result<Value> call_truncate(const Arguments& values) {
  const std::string text = TRY(text_of(values[0]));
  const int64_t length = TRY(whole_number(values[1]));
  if (length < 0) return Error(0, "truncate to ", length);
  return Value(text.substr(0, std::min(text.size(), static_cast<size_t>(length))));
}

Result<Value> call_json(const Arguments& values) { return Value(values[0].json()); }

// fmt.Sprint: a space between two operands when neither is a string.
Result<Value> call_print(const Arguments& values) {
  std::string out;
  for (size_t i = 0; i < values.size(); ++i) {
    if (i > 0 && values[i].as_text() == nullptr && values[i - 1].as_text() == nullptr) out += ' ';
    out += values[i].text();
  }
  return Value(std::move(out));
}

Result<Value> call_println(const Arguments& values) {
  std::string out;
  for (const Value& value : values) out += cat(&value == values.data() ? "" : " ", value.text());
  return Value(out + "\n");
}

std::string escaped(const std::string& text, std::span<const std::pair<char, std::string_view>> escapes) {
  std::string out;
  for (const char c : text) {
    const auto known =
        std::find_if(escapes.begin(), escapes.end(), [&](const auto& escape) { return escape.first == c; });
    if (known != escapes.end()) {
      out += known->second;
    } else {
      out += c;
    }
  }
  return out;
}

Result<Value> call_html(const Arguments& values) {
  static constexpr std::pair<char, std::string_view> kEscapes[] = {
      {'"', "&#34;"}, {'\'', "&#39;"}, {'&', "&amp;"}, {'<', "&lt;"}, {'>', "&gt;"}};
  return Value(escaped(call_print(values)->text(), kEscapes));
}
Result<Value> call_js(const Arguments& values) {
  static constexpr std::pair<char, std::string_view> kEscapes[] = {
      {'\\', "\\\\"},   {'\'', "\\'"},    {'"', "\\\""},     {'<', "\\u003C"},  {'>', "\\u003E"},
      {'&', "\\u0026"}, {'=', "\\u003D"}, {'\n', "\\u000A"}, {'\r', "\\u000D"}, {'\t', "\\u0009"}};
  return Value(escaped(call_print(values)->text(), kEscapes));
}
Result<Value> call_urlquery(const Arguments& values) {
  std::string out;
  for (const char c : call_print(values)->text()) {
    const auto byte = static_cast<unsigned char>(c);
    char code[4];
    ::snprintf(code, sizeof code, "%%%02X", byte);
    if (std::isalnum(byte) != 0 || std::string_view("-_.~").find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += c == ' ' ? "+" : code;
    }
  }
  return Value(std::move(out));
}

// --- printf ---

// One "%-10.3s" of fmt.Sprintf.
struct Verb {
  std::string flags;
  std::optional<int> width;
  std::optional<int> precision;
  char letter = 'v';
};

std::string quoted(const std::string& text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    char code[8];
    ::snprintf(code, sizeof code, "\\x%02x", byte);
    if (c == '"' || c == '\\') {
      out += cat("\\", c);
    } else if (c == '\n' || c == '\t' || c == '\r') {
      out += c == '\n' ? "\\n" : c == '\t' ? "\\t" : "\\r";
    } else if (byte < 0x20 || byte == 0x7f) {
      out += code;
    } else {
      out += c;
    }
  }
  return out + "\"";
}

size_t characters_in(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string padded(const Verb& verb, std::string text) {
  const size_t length = characters_in(text);
  const size_t width = static_cast<size_t>(verb.width.value_or(0));
  if (length >= width) return text;
  if (verb.flags.find('-') != std::string::npos) return text + std::string(width - length, ' ');
  const bool zeros = verb.flags.find('0') != std::string::npos;
  if (zeros && (text.starts_with('-') || text.starts_with('+'))) {
    return text.front() + std::string(width - length, '0') + text.substr(1);
  }
  return std::string(width - length, zeros ? '0' : ' ') + text;
}

std::string whole_in_base(int64_t number, int base, bool upper) {
  char digits[72];
  const auto end = std::to_chars(digits, digits + sizeof digits, number, base).ptr;
  std::string text(digits, end);
  if (upper) std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text;
}

// Go's word for what does not fit, so that nobody takes it for a value.
std::string misfit(const Verb& verb, const Value& value) {
  return cat("%!", verb.letter, "(", value.kind(), "=", value.text(), ")");
}

std::string hex_of(const std::string& text, bool upper) {
  std::string out;
  for (const char c : text) {
    char code[4];
    ::snprintf(code, sizeof code, upper ? "%02X" : "%02x", static_cast<unsigned char>(c));
    out += code;
  }
  return out;
}

std::string formatted(const Verb& verb, const Value& value) {
  const bool sign = verb.flags.find('+') != std::string::npos;
  const auto cut_to_precision = [&](std::string text) {
    if (verb.precision) text = text.substr(0, static_cast<size_t>(*verb.precision));
    return text;
  };
  switch (verb.letter) {
    case 'v':
      return padded(verb, value.text());
    case 's':
      if (value.as_integer() != nullptr || value.as_number() != nullptr || value.as_bool() != nullptr) break;
      return padded(verb, cut_to_precision(value.text()));
    case 'q':
      if (value.as_text() == nullptr) break;
      return padded(verb, quoted(cut_to_precision(*value.as_text())));
    case 't':
      if (value.as_bool() == nullptr) break;
      return padded(verb, value.text());
    case 'd':
    case 'o':
    case 'b':
    case 'x':
    case 'X':
      if (const std::string* text = value.as_text(); text != nullptr && (verb.letter == 'x' || verb.letter == 'X')) {
        return padded(verb, hex_of(*text, verb.letter == 'X'));
      }
      if (const int64_t* number = value.as_integer()) {
        const int base = verb.letter == 'd' ? 10 : verb.letter == 'o' ? 8 : verb.letter == 'b' ? 2 : 16;
        return padded(verb, cat(sign && *number >= 0 ? "+" : "", whole_in_base(*number, base, verb.letter == 'X')));
      }
      break;
    case 'c':
      if (const int64_t* number = value.as_integer(); number != nullptr && *number >= 0x20 && *number < 0x7f) {
        return padded(verb, std::string(1, static_cast<char>(*number)));
      }
      break;
    case 'f':
    case 'e':
    case 'g':
      if (const double* number = value.as_number()) {
        const char format[] = {'%', '.', '*', verb.letter, '\0'};
        const int precision = std::min(verb.precision.value_or(6), 60);
        std::string text(400, '\0');
        text.resize(static_cast<size_t>(::snprintf(text.data(), text.size(), format, precision, *number)));
        return padded(verb, cat(sign && *number >= 0 ? "+" : "", text));
      }
      break;
    default:
      break;
  }
  return misfit(verb, value);
}

Result<Value> call_printf(const Arguments& values) {
  const std::string format = TRY(text_of(values[0]));
  std::string out;
  size_t next = 1;
  // A width or a precision: digits, or "*" for an argument.
  const auto take_number = [&](size_t& at) -> Result<std::optional<int>> {
    if (at < format.size() && format[at] == '*') {
      ++at;
      if (next >= values.size()) return Error(0, "printf: \"*\" has no argument");
      const int64_t number = TRY(whole_number(values[next++]));
      if (number < 0 || number > kMaxWidth) return Error(0, "printf: a width is 0..", kMaxWidth);
      return std::optional(static_cast<int>(number));
    }
    const size_t start = at;
    while (at < format.size() && format[at] >= '0' && format[at] <= '9') ++at;
    if (at == start) return std::optional<int>();
    const auto number = parse_number<int>(std::string_view(format).substr(start, at - start));
    if (!number || *number > kMaxWidth) return Error(0, "printf: a width is 0..", kMaxWidth);
    return number;
  };
  for (size_t at = 0; at < format.size();) {
    if (format[at] != '%') {
      out += format[at++];
      continue;
    }
    ++at;
    Verb verb;
    while (at < format.size() && std::string_view("+-# 0").find(format[at]) != std::string_view::npos) {
      verb.flags += format[at++];
    }
    verb.width = TRY(take_number(at));
    if (at < format.size() && format[at] == '.') {
      ++at;
      verb.precision = TRY(take_number(at)).value_or(0);
    }
    if (at == format.size()) {
      out += "%!(NOVERB)";
      break;
    }
    verb.letter = format[at++];
    if (verb.letter == '%') {
      out += '%';
    } else if (next >= values.size()) {
      out += cat("%!", verb.letter, "(MISSING)");
    } else {
      out += formatted(verb, values[next++]);
    }
    if (out.size() > kMaxTextBytes) return Error(0, "printf: the text is too long");
  }
  if (next < values.size()) {
    out += "%!(EXTRA ";
    for (size_t i = next; i < values.size(); ++i) {
      out += cat(i == next ? "" : ", ", values[i].kind(), "=", values[i].text());
    }
    out += ')';
  }
  return Value(std::move(out));
}

struct Function {
  std::string_view name;
  size_t least;
  size_t most;
  Result<Value> (*call)(const Arguments&);
};

constexpr size_t kAny = 1000;
constexpr std::array<Function, 26> kFunctions = {{
    {"eq", 2, kAny, call_eq},
    {"ne", 2, 2, call_ne},
    {"lt", 2, 2, call_lt},
    {"le", 2, 2, call_le},
    {"gt", 2, 2, call_gt},
    {"ge", 2, 2, call_ge},
    {"not", 1, 1, call_not},
    {"and", 1, kAny, nullptr},
    {"or", 1, kAny, nullptr},
    {"len", 1, 1, call_len},
    {"index", 1, kAny, call_index},
    {"slice", 1, 3, call_slice},
    {"join", 2, 2, call_join},
    {"split", 2, 2, call_split},
    {"lower", 1, 1, call_lower},
    {"upper", 1, 1, call_upper},
    {"title", 1, 1, call_title},
    {"pad", 3, 3, call_pad},
    {"truncate", 2, 2, call_truncate},
    {"json", 1, 1, call_json},
    {"print", 0, kAny, call_print},
    {"println", 0, kAny, call_println},
    {"printf", 1, kAny, call_printf},
    {"html", 1, kAny, call_html},
    {"js", 1, kAny, call_js},
    {"urlquery", 1, kAny, call_urlquery},
}};

const Function* find_function(std::string_view name) {
  const auto known =
      std::find_if(kFunctions.begin(), kFunctions.end(), [&](const Function& one) { return one.name == name; });
  return known != kFunctions.end() ? &*known : nullptr;
}

}  // namespace

bool is_function(std::string_view name) { return find_function(name) != nullptr; }

Result<Value> call_function(std::string_view name, const std::vector<Value>& arguments, const Place& place) {
  const Function& function = *find_function(name);
  if (arguments.size() < function.least || arguments.size() > function.most || function.call == nullptr) {
    return place.error(name, " takes ", function.least, function.most == function.least ? "" : " or more",
                       function.least == 1 && function.most == 1 ? " argument" : " arguments", ", not ",
                       arguments.size());
  }
  Result<Value> value = function.call(arguments);
  if (!value.ok()) return place.error(name, ": ", value.error().message());
  // Texts that are made of themselves double with every step.
  if (const std::string* text = value->as_text(); text != nullptr && text->size() > kMaxTextBytes) {
    return place.error(name, ": the text is too long");
  }
  return value;
}

}  // namespace moss::cli::format
