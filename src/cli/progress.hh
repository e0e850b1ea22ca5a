// What a pull looks like: a bar a layer on a terminal, plain lines elsewhere. Everything goes to stderr; stdout is for
// the image's id.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "moss/engine/pull.hh"

namespace moss::cli {

class ProgressDisplay {
 public:
  enum class Style { automatic, silent };
  explicit ProgressDisplay(Style style);
  ProgressDisplay(const ProgressDisplay&) = delete;
  ProgressDisplay& operator=(const ProgressDisplay&) = delete;
  ~ProgressDisplay();

  void show(const engine::Progress& progress);

 private:
  void draw();

  bool silent_;
  bool bars_;
  std::vector<std::string> order_;                    // digests, as they came
  std::map<std::string, engine::Progress> progress_;  // by digest
  size_t drawn_lines_ = 0;
  int64_t last_drawn_ms_ = 0;
};

}  // namespace moss::cli
