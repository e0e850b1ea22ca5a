// Walking a template's tree with a value at hand.
#include <algorithm>

#include "src/cli/format/tree.hh"

namespace moss::cli::format {

namespace {

constexpr size_t kMaxOutputBytes = 256u << 20;
constexpr size_t kMaxSteps = 5'000'000;

enum class Flow { on, break_loop, continue_loop };

class Walk {
 public:
  explicit Walk(const Value& dot) { variables_.push_back({"", dot}); }

  Result<Flow> walk(const std::vector<Node>& nodes, const Value& dot) {
    for (const Node& node : nodes) {
      if (++steps_ > kMaxSteps || out_.size() > kMaxOutputBytes) return node.place.error("it writes without end");
      const size_t variables = variables_.size();
      switch (node.kind) {
        case Node::Kind::text:
          out_ += node.text;
          break;
        case Node::Kind::print: {
          const Value value = TRY(evaluate(node.pipeline, dot));
          // A declaration prints nothing, and lives on to the end of what it stands in.
          if (node.pipeline.variables.empty()) out_ += value.text();
          break;
        }
        case Node::Kind::break_loop:
          return Flow::break_loop;
        case Node::Kind::continue_loop:
          return Flow::continue_loop;
        case Node::Kind::condition:
        case Node::Kind::with:
        case Node::Kind::range: {
          const Flow flow = node.kind == Node::Kind::range ? TRY(walk_range(node, dot)) : TRY(walk_choice(node, dot));
          variables_.resize(variables);
          if (flow != Flow::on) return flow;
          break;
        }
      }
    }
    return Flow::on;
  }

  std::string take_output() { return std::move(out_); }

 private:
  struct Variable {
    std::string name;
    Value value;
  };

  Result<Flow> walk_choice(const Node& node, const Value& dot) {
    const Value value = TRY(evaluate(node.pipeline, dot));
    const Value& inner = node.kind == Node::Kind::with ? value : dot;
    const size_t variables = variables_.size();
    const Flow flow = value.is_true() ? TRY(walk(node.then, inner)) : TRY(walk(node.otherwise, dot));
    variables_.resize(variables);
    return flow;
  }

  Result<Flow> walk_range(const Node& node, const Value& dot) {
    const std::vector<std::string>& names = node.pipeline.variables;
    const Value over = TRY(evaluate_calls(node.pipeline, dot));
    std::vector<std::pair<Value, const Value*>> items;
    if (const Value::List* list = over.as_list()) {
      for (size_t i = 0; i < list->size(); ++i) items.emplace_back(Value(i), &(*list)[i]);
    } else if (const Object* object = over.as_object(); object != nullptr && object->is_map) {
      for (const Object::Member* member : shown_members(*object)) items.emplace_back(member->name, member->value.get());
    } else if (!over.is_null() && !over.is_missing()) {
      return node.pipeline.place.error("cannot range over ", over.kind(), " ", excerpt(over.text(), 40));
    }
    const size_t variables = variables_.size();
    for (const auto& [key, item] : items) {
      if (++steps_ > kMaxSteps) return node.place.error("it goes on without end");
      if (names.size() == 1) set_variable(names[0], *item, node.pipeline.declares);
      if (names.size() == 2) {
        set_variable(names[0], key, node.pipeline.declares);
        set_variable(names[1], *item, node.pipeline.declares);
      }
      const Flow flow = TRY(walk(node.then, *item));
      variables_.resize(variables);
      if (flow == Flow::break_loop) break;
    }
    if (items.empty()) return walk(node.otherwise, dot);
    return Flow::on;
  }

  void set_variable(const std::string& name, const Value& value, bool declares) {
    if (!declares) {
      const auto known = std::find_if(variables_.rbegin(), variables_.rend(),
                                      [&](const Variable& variable) { return variable.name == name; });
      if (known != variables_.rend()) {
        known->value = value;
        return;
      }
    }
    variables_.push_back({name, value});
  }

  Result<Value> evaluate(const Pipeline& pipeline, const Value& dot) {
    Value value = TRY(evaluate_calls(pipeline, dot));
    for (const std::string& name : pipeline.variables) set_variable(name, value, pipeline.declares);
    return value;
  }

  Result<Value> evaluate_calls(const Pipeline& pipeline, const Value& dot) {
    std::optional<Value> value;
    for (const Call& call : pipeline.calls) value = TRY(evaluate(call, dot, value));
    return *std::move(value);
  }

  Result<Value> evaluate(const Call& call, const Value& dot, const std::optional<Value>& piped) {
    const Word& head = call.words.front();
    if (++steps_ > kMaxSteps) return head.place.error("it goes on without end");
    if (head.kind != Word::Kind::function) return evaluate(head, dot);
    const bool stops_early = head.text == "and" || head.text == "or";
    if (stops_early && call.words.size() == 1 && !piped) return head.place.error(head.text, " needs arguments");
    std::vector<Value> arguments;
    for (size_t i = 1; i < call.words.size(); ++i) {
      arguments.push_back(TRY(evaluate(call.words[i], dot)));
      // The first that decides is the result; what follows is not even looked at.
      if (stops_early && arguments.back().is_true() == (head.text == "or")) return arguments.back();
    }
    if (piped) arguments.push_back(*piped);
    if (stops_early) return arguments.back();
    return call_function(head.text, arguments, head.place);
  }

  Result<Value> evaluate(const Word& word, const Value& dot) {
    switch (word.kind) {
      case Word::Kind::constant:
        return word.constant;
      case Word::Kind::function:
        return call_function(word.text, {}, word.place);
      case Word::Kind::fields:
        return look_up(word, dot);
      case Word::Kind::variable: {
        const auto known = std::find_if(variables_.rbegin(), variables_.rend(),
                                        [&](const Variable& variable) { return variable.name == word.text; });
        // The parser has seen it declared, but perhaps in a branch that was not walked.
        if (known == variables_.rend()) return word.place.error("no variable named $", word.text);
        const Value value = known->value;
        return look_up(word, value);
      }
      case Word::Kind::group:
        return look_up(word, TRY(evaluate(word.group.front(), dot)));
    }
    return Value();
  }

  static Result<Value> look_up(const Word& word, const Value& start) {
    const Value* value = &start;
    std::string path;
    for (const std::string& name : word.fields) {
      path += "." + name;
      const Object* object = value->as_object();
      if (value->is_missing() && &name != word.fields.data()) return Value(Value::Missing{});
      if (value->is_null() && value->as_null()->of == Value::Null::Of::map) return Value(Value::Missing{});
      if (object == nullptr) {
        return word.place.error("<", path, ">: ", value->kind(), " has no fields");
      }
      const Value* next = value->find(name);
      if (next == nullptr && object->is_map) return Value(Value::Missing{});
      if (next == nullptr) {
        std::string known;
        for (const Object::Member* member : shown_members(*object))
          known += cat(known.empty() ? "" : ", ", member->name);
        return word.place.error("<", path, ">: can't evaluate field ", name, "; there are ", excerpt(known, 400));
      }
      value = next;
    }
    return *value;
  }

  std::vector<Variable> variables_;
  std::string out_;
  size_t steps_ = 0;
};

}  // namespace

Result<std::string> Template::execute(const Value& dot) const {
  Walk walk(dot);
  TRY(walk.walk(nodes_, dot));
  return walk.take_output();
}

}  // namespace moss::cli::format
