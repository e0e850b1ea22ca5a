// From a template's text to its tree, in one pass: a reader that knows its place, and a function for each thing that
// can stand there.
#include <algorithm>

#include "src/cli/format/tree.hh"

namespace moss::cli::format {

namespace {

bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_name(char c) {
  return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (c & 0x80) != 0;
}

void append_utf8(std::string& out, uint32_t point) {
  if (point < 0x80) {
    out += static_cast<char>(point);
  } else if (point < 0x800) {
    out += static_cast<char>(0xc0 | point >> 6);
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else if (point < 0x10000) {
    out += static_cast<char>(0xe0 | point >> 12);
    out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | point >> 18);
    out += static_cast<char>(0x80 | (point >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (point >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (point & 0x3f));
  }
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Result<std::vector<Node>> parse() {
    std::vector<Node> nodes;
    const Ending end = TRY(parse_list(nodes));
    if (end.what != Ending::What::text_end) return end.place.error("{{", end.word(), "}} with nothing open");
    return nodes;
  }

 private:
  // What closes a list of nodes.
  struct Ending {
    enum class What { text_end, end, otherwise };
    What what = What::text_end;
    Place place;
    const char* word() const { return what == What::end ? "end" : "else"; }
  };

  bool at_end() const { return at_ == text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool ahead(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  void advance(size_t count) {
    for (; count > 0 && !at_end(); --count, ++at_) {
      if (text_[at_] == '\n') {
        ++place_.line;
        place_.column = 1;
      } else {
        ++place_.column;
      }
    }
  }
  void skip_space() {
    while (is_space(peek()) && !at_end()) advance(1);
  }

  // "{{- " takes the space before it away; " -}}" what follows.
  bool at_close() const { return ahead("}}") || (ahead("-}}") && at_ > 0 && is_space(text_[at_ - 1])); }
  Result<Ok> close(const Place& opened) {
    skip_space();
    if (at_end()) return opened.error("{{ is never closed");
    if (!at_close()) return place_.error("unexpected ", quoted_rest());
    const bool trims = ahead("-");
    advance(trims ? 3 : 2);
    if (trims) skip_space();
    return Ok{};
  }
  std::string quoted_rest() const { return cat("\"", excerpt(text_.substr(at_), 20), "\""); }

  Result<Ending> parse_list(std::vector<Node>& nodes) {
    if (++depth_ > kMaxNesting) return place_.error("nested more than ", kMaxNesting, " deep");
    while (!at_end()) {
      const Place start = place_;
      const size_t open = text_.find("{{", at_);
      std::string text(text_.substr(at_, open - at_));
      const bool trims = open != std::string_view::npos && text_.substr(open).size() > 3 && text_[open + 2] == '-' &&
                         is_space(text_[open + 3]);
      if (trims) {
        while (!text.empty() && is_space(text.back())) text.pop_back();
      }
      if (!text.empty()) {
        nodes.emplace_back();
        nodes.back().place = start;
        nodes.back().text = std::move(text);
      }
      if (open == std::string_view::npos) {
        advance(text_.size() - at_);
        break;
      }
      advance(open - at_);
      const Place opened = place_;
      advance(trims ? 3 : 2);
      skip_space();
      if (ahead("/*")) {
        TRY(skip_comment(opened));
        continue;
      }
      std::optional<Ending> ending = TRY(parse_action(opened, nodes));
      if (ending) {
        --depth_;
        return *ending;
      }
    }
    --depth_;
    return Ending{.what = Ending::What::text_end, .place = place_};
  }

  Result<Ok> skip_comment(const Place& opened) {
    const size_t end = text_.find("*/", at_ + 2);
    if (end == std::string_view::npos) return opened.error("the comment is never closed");
    advance(end + 2 - at_);
    return close(opened);
  }

  std::string_view word_ahead() const {
    size_t length = 0;
    while (at_ + length < text_.size() && is_name(text_[at_ + length])) ++length;
    return text_.substr(at_, length);
  }

  Result<std::optional<Ending>> parse_action(const Place& opened, std::vector<Node>& nodes) {
    const std::string_view word = word_ahead();
    const auto take_word = [&] {
      advance(word.size());
      skip_space();
    };
    if (word == "end" || word == "else") {
      take_word();
      Ending ending{.what = word == "end" ? Ending::What::end : Ending::What::otherwise, .place = opened};
      // "else if" is left for whoever opened the list to read.
      const std::string_view next = word_ahead();
      if (word == "else" && (next == "if" || next == "with")) return std::optional(ending);
      TRY(close(opened));
      return std::optional(ending);
    }
    Node node;
    node.place = opened;
    if (word == "break" || word == "continue") {
      if (loops_ == 0) return opened.error("{{", word, "}} outside of a range");
      node.kind = word == "break" ? Node::Kind::break_loop : Node::Kind::continue_loop;
      take_word();
      TRY(close(opened));
    } else if (word == "if" || word == "range" || word == "with") {
      take_word();
      node.kind = word == "if" ? Node::Kind::condition : word == "range" ? Node::Kind::range : Node::Kind::with;
      TRY(parse_branches(node));
    } else if (word == "define" || word == "template" || word == "block") {
      return opened.error("{{", word, "}} is not supported");
    } else {
      node.kind = Node::Kind::print;
      node.pipeline = TRY(parse_pipeline());
      TRY(close(opened));
    }
    nodes.push_back(std::move(node));
    return std::optional<Ending>();
  }

  // The condition of an opened if, range or with, and all up to its end.
  Result<Ok> parse_branches(Node& node) {
    const size_t variables = variables_.size();
    node.pipeline = TRY(parse_pipeline());
    TRY(close(node.place));
    const bool loop = node.kind == Node::Kind::range;
    loops_ += loop ? 1 : 0;
    Ending ending = TRY(parse_list(node.then));
    loops_ -= loop ? 1 : 0;
    if (ending.what == Ending::What::otherwise) {
      const std::string_view next = word_ahead();
      if (next == "if" || next == "with") {
        // {{else if X}}…{{end}}: one end for both.
        if (++depth_ > kMaxNesting) return ending.place.error("nested more than ", kMaxNesting, " deep");
        Node inner;
        inner.place = ending.place;
        inner.kind = next == "if" ? Node::Kind::condition : Node::Kind::with;
        advance(next.size());
        TRY(parse_branches(inner));
        --depth_;
        node.otherwise.push_back(std::move(inner));
        variables_.resize(variables);
        return Ok{};
      }
      ending = TRY(parse_list(node.otherwise));
      if (ending.what == Ending::What::otherwise) return ending.place.error("a second {{else}}");
    }
    if (ending.what != Ending::What::end) return node.place.error("has no {{end}}");
    variables_.resize(variables);
    return Ok{};
  }

  bool at_pipeline_end() const { return at_end() || at_close() || peek() == ')'; }

  Result<Pipeline> parse_pipeline() {
    if (++depth_ > kMaxNesting) return place_.error("nested more than ", kMaxNesting, " deep");
    Pipeline pipeline;
    skip_space();
    pipeline.place = place_;
    TRY(parse_variables(pipeline));
    while (true) {
      Call call;
      skip_space();
      while (!at_pipeline_end() && peek() != '|') {
        call.words.push_back(TRY(parse_word()));
        const bool space = is_space(peek());
        skip_space();
        if (!space && !at_pipeline_end() && peek() != '|') return place_.error("unexpected ", quoted_rest());
      }
      if (call.words.empty()) return place_.error("a value is missing");
      TRY(check_call(call, pipeline.calls.empty()));
      pipeline.calls.push_back(std::move(call));
      if (peek() != '|') break;
      advance(1);
    }
    --depth_;
    for (const std::string& name : pipeline.variables) {
      if (pipeline.declares) variables_.push_back(name);
    }
    return pipeline;
  }

  static Result<Ok> check_call(const Call& call, bool is_first) {
    const Word& head = call.words.front();
    const bool takes_arguments = head.kind == Word::Kind::function;
    if (!takes_arguments && call.words.size() > 1) {
      return call.words[1].place.error("a value before it that is no function takes no arguments");
    }
    if (!takes_arguments && !is_first) return head.place.error("\"|\" leads to what is no function");
    return Ok{};
  }

  // "$i, $e :=" or "$x =", if that is what comes.
  Result<Ok> parse_variables(Pipeline& pipeline) {
    const size_t at = at_;
    const Place place = place_;
    std::vector<std::string> names;
    while (peek() == '$') {
      advance(1);
      const std::string name(word_ahead());
      if (name.empty()) break;
      advance(name.size());
      names.push_back(name);
      skip_space();
      if (ahead(":=") || (peek() == '=' && !ahead("=="))) {
        pipeline.declares = ahead(":=");
        if (!pipeline.declares) {
          for (const std::string& known : names) TRY(check_variable(known, place));
        }
        advance(pipeline.declares ? 2 : 1);
        pipeline.variables = std::move(names);
        return Ok{};
      }
      if (peek() != ',' || names.size() == 2) break;
      advance(1);
      skip_space();
    }
    at_ = at;
    place_ = place;
    return Ok{};
  }

  Result<Ok> check_variable(const std::string& name, const Place& place) const {
    if (name.empty() || std::find(variables_.begin(), variables_.end(), name) != variables_.end()) return Ok{};
    return place.error("no variable named $", name);
  }

  Result<Word> parse_word() {
    Word word;
    word.place = place_;
    const char c = peek();
    if (c == '.' && !(at_ + 1 < text_.size() && is_digit(text_[at_ + 1]))) {
      word.kind = Word::Kind::fields;
      if (at_ + 1 == text_.size() || !is_name(text_[at_ + 1])) {
        advance(1);  // dot itself
        return word;
      }
      TRY(parse_fields(word));
    } else if (c == '$') {
      word.kind = Word::Kind::variable;
      advance(1);
      word.text = word_ahead();
      advance(word.text.size());
      TRY(check_variable(word.text, word.place));
      TRY(parse_fields(word));
    } else if (c == '(') {
      word.kind = Word::Kind::group;
      advance(1);
      word.group.push_back(TRY(parse_pipeline()));
      if (peek() != ')') return word.place.error("( is never closed");
      advance(1);
      TRY(parse_fields(word));
    } else if (c == '"' || c == '`') {
      word.kind = Word::Kind::constant;
      word.constant = TRY(parse_text(c));
    } else if (is_digit(c) || c == '+' || c == '-' || c == '.') {
      word.kind = Word::Kind::constant;
      word.constant = TRY(parse_number_word());
    } else if (is_name(c)) {
      TRY(parse_name(word));
    } else {
      return place_.error("unexpected ", quoted_rest());
    }
    return word;
  }

  Result<Ok> parse_name(Word& word) {
    word.text = word_ahead();
    advance(word.text.size());
    word.kind = Word::Kind::constant;
    if (word.text == "true" || word.text == "false") {
      word.constant = word.text == "true";
    } else if (word.text != "nil") {
      word.kind = Word::Kind::function;
      if (word.text == "call") return word.place.error("\"call\" is not supported");
      if (!is_function(word.text)) return word.place.error("no function named \"", printable(word.text), "\"");
    }
    return Ok{};
  }

  Result<Ok> parse_fields(Word& word) {
    while (peek() == '.') {
      advance(1);
      const std::string_view name = word_ahead();
      if (name.empty()) return place_.error("a field's name is missing after \".\"");
      word.fields.emplace_back(name);
      advance(name.size());
    }
    return Ok{};
  }

  Result<Value> parse_number_word() {
    const Place start = place_;
    std::string digits;
    while (!at_end() && (is_name(peek()) || peek() == '.' || ((peek() == '+' || peek() == '-') && !at_close()))) {
      digits += peek();
      advance(1);
    }
    std::string_view text = digits;
    if (text.starts_with('+')) text.remove_prefix(1);
    const bool negative = text.starts_with('-');
    if (text.substr(negative ? 1 : 0).starts_with("0x")) {
      if (const auto number = parse_number<int64_t>(text.substr(negative ? 3 : 2), 16)) {
        return Value(negative ? -*number : *number);
      }
    }
    if (const auto number = parse_number<int64_t>(text)) return Value(*number);
    const std::optional<double> number = take_decimal(text);
    if (!number || !text.empty()) return start.error("not a number: ", printable(digits));
    return Value(*number);
  }

  Result<Value> parse_text(char quote) {
    const Place start = place_;
    std::string out;
    advance(1);
    while (!at_end() && peek() != quote) {
      if (quote == '"' && peek() == '\n') break;
      if (quote == '"' && peek() == '\\') {
        TRY(parse_escape(out));
        continue;
      }
      out += peek();
      advance(1);
    }
    if (peek() != quote || at_end()) return start.error("the text is never closed");
    advance(1);
    return Value(std::move(out));
  }

  Result<Ok> parse_escape(std::string& out) {
    static constexpr std::string_view kLetters = "abfnrtv\\\"'";
    static constexpr std::string_view kMeant = "\a\b\f\n\r\t\v\\\"'";
    const Place start = place_;
    advance(1);
    const char c = peek();
    if (const size_t known = kLetters.find(c); known != std::string_view::npos && !at_end()) {
      out += kMeant[known];
      advance(1);
      return Ok{};
    }
    const size_t digits = c == 'x' ? 2 : c == 'u' ? 4 : c == 'U' ? 8 : 0;
    const auto point = parse_number<uint32_t>(text_.substr(std::min(at_ + 1, text_.size()), digits), 16);
    if (digits == 0 || !point || at_ + 1 + digits > text_.size() || *point > 0x10ffff) {
      return start.error("no such escape: ", quoted_rest());
    }
    if (c == 'x') {
      out += static_cast<char>(*point);
    } else {
      append_utf8(out, *point);
    }
    advance(1 + digits);
    return Ok{};
  }

  std::string_view text_;
  size_t at_ = 0;
  Place place_;
  int depth_ = 0;
  int loops_ = 0;
  std::vector<std::string> variables_;
};

bool mentions_in(const std::vector<Node>& nodes, std::string_view name);

bool mentions_in(const Pipeline& pipeline, std::string_view name) {
  for (const Call& call : pipeline.calls) {
    for (const Word& word : call.words) {
      // Dot as a whole is everything.
      if (word.kind == Word::Kind::fields && word.fields.empty()) return true;
      if (std::find(word.fields.begin(), word.fields.end(), name) != word.fields.end()) return true;
      if (!word.group.empty() && mentions_in(word.group.front(), name)) return true;
    }
  }
  return false;
}

bool mentions_in(const std::vector<Node>& nodes, std::string_view name) {
  return std::any_of(nodes.begin(), nodes.end(), [&](const Node& node) {
    return mentions_in(node.pipeline, name) || mentions_in(node.then, name) || mentions_in(node.otherwise, name);
  });
}

void collect_fields(const Pipeline& pipeline, std::vector<std::string>& out) {
  for (const Call& call : pipeline.calls) {
    for (const Word& word : call.words) {
      if (word.kind == Word::Kind::fields && !word.fields.empty()) out.push_back(word.fields.front());
      if (!word.group.empty()) collect_fields(word.group.front(), out);
    }
  }
}

void collect_fields(const std::vector<Node>& nodes, std::vector<std::string>& out) {
  for (const Node& node : nodes) {
    collect_fields(node.pipeline, out);
    collect_fields(node.then, out);
    collect_fields(node.otherwise, out);
  }
}

}  // namespace

Template::Template(std::vector<Node> nodes) : nodes_(std::move(nodes)) {}
Template::Template(Template&&) noexcept = default;
Template& Template::operator=(Template&&) noexcept = default;
Template::~Template() = default;

Result<Template> Template::parse(std::string_view text) {
  if (text.size() > kMaxTemplateBytes) return Error(0, "template: longer than ", kMaxTemplateBytes, " bytes");
  return Template(TRY(Parser(text).parse()));
}

std::vector<std::string> Template::first_fields() const {
  std::vector<std::string> fields;
  collect_fields(nodes_, fields);
  return fields;
}

bool Template::mentions(std::string_view name) const { return mentions_in(nodes_, name); }

}  // namespace moss::cli::format
