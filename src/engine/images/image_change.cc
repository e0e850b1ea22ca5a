// See moss/engine/image_change.hh. Of containers/common's documentation only what a change to a config needs: no
// variables, no line continuation.
#include "moss/engine/image_change.hh"

#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>

#include "moss/base/text.hh"

namespace moss::engine {

namespace {

using Words = std::vector<std::string>;

// Split at blanks; quotes keep them, a backslash keeps what follows.
Result<Words> words_of(std::string_view text) {
  Words words;
  std::string word;
  bool inside = false;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quote != '\'' && c == '\\' && i + 1 < text.size()) {
      word += text[++i];
      inside = true;
    } else if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word += c;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
      inside = true;
    } else if (c == ' ' || c == '\t') {
      if (inside) words.push_back(std::move(word));
      word.clear();
      inside = false;
    } else {
      word += c;
      inside = true;
    }
  }
  if (quote != 0) return Error(0, "a quote is not closed");
  if (inside) words.push_back(std::move(word));
  return words;
}

Result<Words> command_of(std::string_view text) {
  if (!text.starts_with('[')) return Words{"/bin/sh", "-c", std::string(text)};
  const nlohmann::json list = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto is_text = [](const nlohmann::json& item) { return item.is_string(); };
  if (!list.is_array() || !std::all_of(list.begin(), list.end(), is_text)) {
    return Error(0, "a JSON list of strings is wanted");
  }
  return list.get<Words>();
}

// "NAME=VALUE ...", or "NAME VALUE" as older files have it.
Result<std::vector<std::pair<std::string, std::string>>> pairs_of(std::string_view text) {
  const Words words = TRY(words_of(text));
  std::vector<std::pair<std::string, std::string>> pairs;
  if (words.size() == 2 && words[0].find('=') == std::string::npos) return std::vector{std::pair(words[0], words[1])};
  for (const std::string& word : words) {
    const size_t at = word.find('=');
    if (at == std::string::npos || at == 0) return Error(0, "NAME=VALUE is wanted, not \"", printable(word), "\"");
    pairs.emplace_back(word.substr(0, at), word.substr(at + 1));
  }
  return pairs;
}

Result<Ok> set_environment(Words& env, std::string_view text) {
  for (const auto& [name, value] : TRY(pairs_of(text))) {
    const std::string prefix = name + "=";
    std::erase_if(env, [&](const std::string& old) { return old.starts_with(prefix); });
    env.push_back(prefix + value);
  }
  return Ok{};
}

// A set in the JSON, so each once and in order.
void add_to_set(Words& set, Words more) {
  set.insert(set.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  std::sort(set.begin(), set.end());
  set.erase(std::unique(set.begin(), set.end()), set.end());
}

Result<Words> ports_of(std::string_view text) {
  Words ports = TRY(words_of(text));
  for (std::string& port : ports) {
    if (port.find('/') == std::string::npos) port += "/tcp";
  }
  return ports;
}

Result<Ok> apply(oci::ImageRunConfig& config, std::string_view verb, std::string_view rest) {
  if (rest.empty()) return Error(0, "it has no value");
  if (verb == "CMD") {
    config.cmd = TRY(command_of(rest));
  } else if (verb == "ENTRYPOINT") {
    config.entrypoint = TRY(command_of(rest));
  } else if (verb == "ENV") {
    TRY(set_environment(config.env, rest));
  } else if (verb == "EXPOSE") {
    add_to_set(config.exposed_ports, TRY(ports_of(rest)));
  } else if (verb == "LABEL") {
    for (auto& [name, value] : TRY(pairs_of(rest))) config.labels[name] = std::move(value);
  } else if (verb == "STOPSIGNAL") {
    config.stop_signal = rest;
  } else if (verb == "USER") {
    config.user = rest;
  } else if (verb == "VOLUME") {
    add_to_set(config.volumes, rest.starts_with('[') ? TRY(command_of(rest)) : TRY(words_of(rest)));
  } else if (verb == "WORKDIR") {
    config.working_dir = rest;
  } else {
    return Error(0, "only CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME and WORKDIR can be changed");
  }
  return Ok{};
}

}  // namespace

Result<Ok> apply_change(oci::ImageRunConfig& config, std::string_view instruction) {
  const std::string_view text = trim(instruction);
  const size_t end = std::min(text.find_first_of(" \t="), text.size());
  std::string verb(text.substr(0, end));
  std::transform(verb.begin(), verb.end(), verb.begin(), [](unsigned char c) { return std::toupper(c); });
  oci::ImageRunConfig changed = config;
  TRY(apply(changed, verb, trim(text.substr(std::min(end + 1, text.size()))))
          .context("change \"", printable(text), "\""));
  config = std::move(changed);
  return Ok{};
}

}  // namespace moss::engine
