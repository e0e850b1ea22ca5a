// What a pull looks like: a bar a layer on a terminal, with its rate and the time left; plain lines elsewhere. All that
// goes to stderr; stdout is for the image's id, or for lines of JSON where a program wants to know.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "moss/engine/pull.hh"

namespace moss::cli {

class ProgressDisplay {
 public:
  enum class Style { automatic, silent, json };
  explicit ProgressDisplay(Style style);
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;
  ~ProgressDisplay();

  /// What a verb with --quiet wants.
  static Style style(bool quiet) { return quiet ? Style::silent : Style::automatic; }

  void show(const engine::Progress& progress);
  /// show(), for as long as this lives.
  engine::ProgressCallback callback() {
    return [this](const engine::Progress& progress) { show(progress); };
  }
  /// The last state is drawn and stays; what comes next begins below.
  void finish();

 private:
  struct Rate {
    int64_t since_ms = 0;  ///< when its first bytes came
    int64_t from = 0;      ///< how many were there then
  };
  void draw();
  std::string draw_line(const engine::Progress& progress, size_t columns) const;

  Style style_;
  bool bars_;
  std::map<std::string, Rate> rates_;                 // by digest
  std::vector<std::string> order_;                    // digests, as they came
  std::map<std::string, engine::Progress> progress_;  // by digest
  size_t drawn_lines_ = 0;
  int64_t last_drawn_ms_ = 0;
};

/// One event as a line of JSON: {"status":"downloading","id":"sha256:…","current":1,"total":2}.
std::string progress_line(const engine::Progress& progress);
/// The last line of a pull: {"status":"pulled","name":…,"id":…}.
std::string pulled_line(const std::string& name, const std::string& id);

}  // namespace moss::cli
