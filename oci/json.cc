// The one reader and the one writer behind every table.
//
// The reader listens to nlohmann's SAX parser, which keeps its own stack: a hostile document cannot exhaust ours.
// A Frame is an object or list that is open; together the frames are the path an error names.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "json_table.hh"

namespace moss::oci {

bool sort_keys(std::vector<std::string>& keys) {
  std::sort(keys.begin(), keys.end());
  return std::adjacent_find(keys.begin(), keys.end()) == keys.end();
}

namespace {

bool is_plain_key(std::string_view key) {
  return !key.empty() && key.size() <= 64 && std::all_of(key.begin(), key.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-';
  });
}

class Reader final : public nlohmann::json_sax<nlohmann::json> {
 public:
  Reader(std::string_view document, std::string_view json, Slot root) : document_(document), json_(json), root_(root) {
    frames_.reserve(8);
  }

  Error take_error() { return Error(0, document_, ": ", error_); }

  bool null() override {
    if (skipped_depth_ > 0) return true;
    if (frames_.empty()) return complain(cat("expected ", root_.type->expected, ", found null"));
    Frame& frame = frames_.back();
    if (frame.type->kind == Kind::list) {
      if (!next_element()) return false;
      return complain(cat("expected ", frame.pending.type->expected, ", found null"));
    }
    // A map's value stays what it is by default, as in Go.
    if (frame.type->kind == Kind::object && frame.entry != kNone && is_filled_by_null(frame)) mark_filled(frame);
    return true;
  }

  bool boolean(bool value) override {
    Slot slot;
    if (!take_slot(slot) || slot.type == nullptr) return error_.empty();
    if (slot.type->kind != Kind::boolean) return wrong_type(slot, value ? "true" : "false");
    slot.type->set_boolean(slot.at, value);
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override { return integer({false, value}); }
  // Only "-0" comes here without being below zero: nlohmann reports the others as unsigned.
  bool number_integer(number_integer_t value) override { return integer({true, static_cast<uint64_t>(value)}); }

  bool number_float(number_float_t, const string_t& spelling) override {
    Slot slot;
    if (!take_slot(slot) || slot.type == nullptr) return error_.empty();
    return wrong_type(slot, slot.type->kind == Kind::integer ? excerpt(spelling, 40) : "number");
  }

  bool string(string_t& text) override {
    Slot slot;
    if (!take_slot(slot) || slot.type == nullptr) return error_.empty();
    if (slot.type->kind != Kind::text) return wrong_type(slot, "string");
    if (text.find('\0') != std::string::npos) return complain("holds a NUL byte (\\u0000)");
    if (slot.rule != nullptr && slot.rule->text != nullptr && !slot.rule->text(text)) {
      return complain(cat("expected ", slot.rule->expected, ", found \"", excerpt(text, 100), '"'));
    }
    slot.type->set_text(slot.at, std::move(text));
    return true;
  }

  bool binary(binary_t&) override { return complain("binary data"); }  // not in JSON text

  bool start_object(size_t) override { return start(Kind::object, "object"); }
  bool start_array(size_t) override { return start(Kind::list, "list"); }

  bool key(string_t& key) override {
    if (skipped_depth_ > 0) return true;
    Frame& frame = frames_.back();
    frame.key = std::move(key);
    return frame.type->kind == Kind::map ? map_key(frame) : object_key(frame);
  }

  bool end_object() override {
    if (skipped_depth_ > 0) return --skipped_depth_, true;
    Frame& frame = frames_.back();
    frame.entry = kNone;
    frame.key.clear();
    frame.is_between = true;
    for (size_t i = 0; i < frame.type->entries.size(); ++i) {
      const Entry& entry = frame.type->entries[i];
      if (entry.presence == Presence::required && !(frame.filled >> i & 1))
        return complain(cat(entry.name, " is missing"));
    }
    if (frame.type->finish != nullptr && !frame.type->finish(frame.at)) return complain("names the same key twice");
    frames_.pop_back();
    return true;
  }

  bool end_array() override {
    if (skipped_depth_ > 0) return --skipped_depth_, true;
    frames_.pop_back();
    return true;
  }

  bool parse_error(size_t position, const std::string& last_token, const nlohmann::json::exception& reason) override {
    // A number beyond a double ("1e999") is valid JSON, but nothing here could hold it.
    if (reason.id == 406) return complain(cat("the number ", excerpt(last_token, 40), " is out of range"));
    const std::string_view before = json_.substr(0, position == 0 ? 0 : position - 1);
    const size_t line = 1 + static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
    const size_t line_start = before.rfind('\n');
    const size_t column = before.size() - (line_start == std::string_view::npos ? 0 : line_start + 1) + 1;
    error_ = cat("not valid JSON at line ", line, ", column ", column);
    if (position > json_.size()) {
      error_ += ", where it ends too early";
    } else if (!last_token.empty()) {
      error_ += cat(", near ", excerpt(last_token, 40));
    }
    return false;
  }

 private:
  static constexpr size_t kNone = SIZE_MAX;

  struct Frame {
    const Type* type;
    void* at;
    const Rule* rule;        ///< for the elements of a list or map
    Slot pending = {};       ///< map: where the value after the last key goes
    std::string key = {};    ///< object and map: the last key
    size_t count = 0;        ///< list and map: elements so far
    size_t entry = kNone;    ///< object: the last key's line in the table; none for an unknown property
    uint64_t seen = 0;       ///< object: which lines had a key
    uint64_t filled = 0;     ///< object: which of them had a value that counts
    bool is_between = true;  ///< no member or element is being read
  };

  /// Sets `slot` for the value that begins now; no type means "pass it over". False on error.
  bool take_slot(Slot& slot) {
    slot = {};
    if (skipped_depth_ > 0) return true;
    if (frames_.empty()) {
      slot = root_;
    } else {
      Frame& frame = frames_.back();
      if (frame.type->kind == Kind::list) {
        if (!next_element()) return false;
        slot = frame.pending;
      } else if (frame.type->kind == Kind::map) {
        slot = frame.pending;
      } else if (frame.entry != kNone) {
        const Entry& entry = frame.type->entries[frame.entry];
        if (entry.presence == Presence::refused) return complain(entry.why_refused);
        slot = entry.slot(frame.at);
        mark_filled(frame);
      }
    }
    while (slot.type != nullptr && slot.type->kind == Kind::optional) {
      const Rule* rule = slot.rule;
      slot = slot.type->make(slot.at);
      slot.rule = rule;
    }
    return true;
  }

  bool next_element() {
    Frame& frame = frames_.back();
    frame.is_between = false;
    if (!count_element(frame)) return false;
    frame.pending = frame.type->append(frame.at);
    frame.pending.rule = frame.rule;
    return true;
  }

  bool map_key(Frame& frame) {
    frame.is_between = false;
    if (frame.key.find('\0') != std::string::npos) return complain("a key with a NUL byte (\\u0000)");
    if (!count_element(frame)) return false;
    frame.pending = frame.type->insert(frame.at, frame.key);
    if (frame.pending.at == nullptr) return complain("given twice");
    frame.pending.rule = frame.rule;
    return true;
  }

  bool object_key(Frame& frame) {
    frame.is_between = false;
    const std::span<const Entry> entries = frame.type->entries;
    const auto entry =
        std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.name == frame.key; });
    frame.entry = kNone;
    if (entry == entries.end()) return true;
    frame.entry = static_cast<size_t>(entry - entries.begin());
    const uint64_t bit = uint64_t{1} << frame.entry;
    if (frame.seen & bit) return complain("given twice");
    frame.seen |= bit;
    return true;
  }

  static bool is_filled_by_null(const Frame& frame) {
    const Entry& entry = frame.type->entries[frame.entry];
    if (entry.presence != Presence::required) return false;
    const Kind kind = entry.slot(frame.at).type->kind;
    return kind == Kind::list || kind == Kind::map;
  }
  static void mark_filled(Frame& frame) { frame.filled |= uint64_t{1} << frame.entry; }

  bool integer(Integer value) {
    Slot slot;
    if (!take_slot(slot) || slot.type == nullptr) return error_.empty();
    if (slot.type->kind != Kind::integer) return wrong_type(slot, "number");
    const bool rule_holds = slot.rule == nullptr || slot.rule->integer == nullptr || slot.rule->integer(value);
    if (rule_holds && slot.type->set_integer(slot.at, value)) return true;
    if (value.negative && value.bits == 0) return wrong_type(slot, "-0");
    return wrong_type(slot, value.negative ? cat(static_cast<int64_t>(value.bits)) : cat(value.bits));
  }

  bool start(Kind kind, const char* name) {
    Slot slot;
    if (frames_.size() + skipped_depth_ >= kMaxDepth) return complain(cat("nested deeper than ", kMaxDepth, " levels"));
    if (!take_slot(slot)) return false;
    if (slot.type == nullptr) {
      ++skipped_depth_;
      return true;
    }
    const Kind found = slot.type->kind == Kind::map ? Kind::object : slot.type->kind;
    if (found != kind) return wrong_type(slot, name);
    frames_.push_back({.type = slot.type, .at = slot.at, .rule = slot.rule});
    return true;
  }

  bool count_element(Frame& frame) {
    if (++frame.count > kMaxElements) return complain(cat("more than ", kMaxElements, " elements"));
    if (++elements_ > kMaxAllElements) return complain(cat("more than ", kMaxAllElements, " elements in the document"));
    return true;
  }

  bool wrong_type(const Slot& slot, std::string_view found) {
    const bool has_rule = slot.rule != nullptr && slot.type->kind == Kind::integer && slot.rule->integer != nullptr;
    return complain(cat("expected ", has_rule ? slot.rule->expected : slot.type->expected, ", found ", found));
  }

  bool complain(std::string_view what) {
    const std::string where = path();
    error_ = where.empty() ? std::string(what) : cat(where, ": ", what);
    return false;
  }

  /// "linux.uidMappings[0].hostID"
  std::string path() const {
    std::string path;
    for (const Frame& frame : frames_) {
      if (frame.is_between) continue;
      if (frame.type->kind == Kind::list) {
        path += cat('[', frame.count - 1, ']');
      } else if (is_plain_key(frame.key)) {
        path += path.empty() ? frame.key : cat('.', frame.key);
      } else {
        path += cat("[\"", excerpt(frame.key, 64), "\"]");
      }
    }
    return path;
  }

  std::string_view document_;
  std::string_view json_;
  Slot root_;
  std::vector<Frame> frames_;
  size_t elements_ = 0;       ///< of all lists and maps
  size_t skipped_depth_ = 0;  ///< objects and lists open inside something that is passed over
  std::string error_;
};

/// How many bytes the UTF-8 character at the start of `text` has; 0 if it is none (RFC 3629, no surrogates).
size_t utf8_length(std::string_view text) {
  const auto byte = [&](size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const auto follows = [&](size_t i) { return (byte(i) & 0xc0) == 0x80; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    if ((first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) > 0x9f)) return 0;
    return follows(1) && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    if ((first == 0xf0 && byte(1) < 0x90) || (first == 0xf4 && byte(1) > 0x8f)) return 0;
    return follows(1) && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

Result<Ok> read_json(std::string_view document, std::string_view json, Slot root) {
  Reader reader(document, json, root);
  try {
    if (nlohmann::json::sax_parse(json.data(), json.data() + json.size(), &reader)) return Ok{};
  } catch (const nlohmann::json::exception& e) {
    return Error(0, document, ": ", std::string_view(e.what()));
  }
  return reader.take_error();
}

void JsonWriter::open(char bracket) {
  out_ += bracket;
  is_first_ = true;
  ++depth_;
}

void JsonWriter::close(char bracket) {
  --depth_;
  if (!is_first_) new_line();
  out_ += bracket;
  is_first_ = false;
}

void JsonWriter::element() {
  if (!is_first_) out_ += ',';
  is_first_ = false;
  new_line();
}

void JsonWriter::key(std::string_view key) {
  element();
  text(key);
  out_ += indented_ ? std::string_view(": ") : std::string_view(":");
}

void JsonWriter::text(std::string_view text) {
  static constexpr char kHex[] = "0123456789abcdef";
  out_ += '"';
  while (!text.empty()) {
    const auto is_plain = [](char c) {
      return static_cast<unsigned char>(c) >= 0x20 && static_cast<unsigned char>(c) < 0x80 && c != '"' && c != '\\';
    };
    const size_t plain = static_cast<size_t>(std::find_if_not(text.begin(), text.end(), is_plain) - text.begin());
    out_ += text.substr(0, plain);
    text.remove_prefix(plain);
    if (text.empty()) break;

    const char c = text.front();
    size_t length = 1;
    if (c == '"' || c == '\\') {
      out_ += {'\\', c};
    } else if (c == '\n') {
      out_ += "\\n";
    } else if (c == '\t') {
      out_ += "\\t";
    } else if (static_cast<unsigned char>(c) < 0x20) {
      out_ += {'\\', 'u', '0', '0', kHex[c >> 4], kHex[c & 15]};
    } else if ((length = utf8_length(text)) > 0) {
      out_ += text.substr(0, length);
    } else {
      out_ += "\xef\xbf\xbd";
      length = 1;
    }
    text.remove_prefix(length);
  }
  out_ += '"';
}

std::string JsonWriter::finish() && {
  if (indented_) out_ += '\n';
  return std::move(out_);
}

void JsonWriter::new_line() {
  if (!indented_) return;
  out_ += '\n';
  out_.append(2 * depth_, ' ');
}

}  // namespace moss::oci
