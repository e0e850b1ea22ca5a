// Drawing a pull.
#include "src/cli/progress.hh"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>

#include "src/cli/command.hh"

namespace moss::cli {

namespace {

using Phase = engine::Progress::Phase;

int64_t now_ms() {
  using namespace std::chrono;
  return duration_cast<milliseconds>(steady_clock::now().time_since_epoch()).count();
}

void put(const std::string& text) { (void)!::write(STDERR_FILENO, text.data(), text.size()); }

std::string short_digest(const std::string& digest) {
  const size_t colon = digest.find(':');
  return digest.substr(colon == std::string::npos ? 0 : colon + 1, 12);
}

const char* word(Phase phase) {
  switch (phase) {
    case Phase::exists:
      return "already here";
    case Phase::waiting:
      return "waiting for another moss";
    case Phase::downloading:
      return "downloading";
    case Phase::unpacking:
      return "unpacking";
    case Phase::done:
      return "done";
    case Phase::compressing:
      return "compressing";
    case Phase::sending:
      return "sending";
    case Phase::sent:
      return "sent";
    case Phase::mounted:
      return "mounted from another repository";
    default:
      return "";
  }
}

bool is_transfer(Phase phase) { return phase == Phase::downloading || phase == Phase::sending; }

bool is_layer(const engine::Progress& progress) {
  return !progress.digest.empty() && progress.phase != Phase::trying && progress.phase != Phase::config &&
         progress.phase != Phase::storing;
}

}  // namespace

ProgressDisplay::ProgressDisplay(Style style)
    : silent_(style == Style::silent),
      bars_(::isatty(STDERR_FILENO) == 1 && std::string_view(::getenv("TERM") ? ::getenv("TERM") : "dumb") != "dumb") {}

ProgressDisplay::~ProgressDisplay() {
  if (!silent_ && bars_ && !order_.empty()) draw();
}

void ProgressDisplay::show(const engine::Progress& progress) {
  if (silent_) return;
  if (progress.phase == Phase::trying) {
    put(cat("Trying to pull ", printable(progress.name), "...\n"));
    return;
  }
  if (!is_layer(progress)) return;
  const auto known = progress_.find(progress.digest);
  const bool changed = known == progress_.end() || known->second.phase != progress.phase;
  if (known == progress_.end()) order_.push_back(progress.digest);
  progress_[progress.digest] = progress;
  if (!bars_) {
    // A line where something begins or ends; nobody reads percentages in a log file.
    if (changed && progress.phase != Phase::unpacking) {
      put(cat(short_digest(progress.digest), " ", word(progress.phase),
              is_transfer(progress.phase) && progress.total > 0 ? cat(" ", human_size(progress.total)) : "", "\n"));
    }
    return;
  }
  if (!changed && now_ms() - last_drawn_ms_ < 50) return;
  draw();
}

void ProgressDisplay::draw() {
  last_drawn_ms_ = now_ms();
  winsize size{};
  const unsigned columns = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80u;
  std::string text = drawn_lines_ > 0 ? cat("\x1b[", drawn_lines_, "A") : std::string();
  for (const std::string& digest : order_) {
    const engine::Progress& progress = progress_[digest];
    std::string line = short_digest(digest) + " ";
    if (is_transfer(progress.phase) && progress.total > 0 && columns > 50) {
      const int64_t width = static_cast<int64_t>(columns) - 44;
      const int64_t filled = std::clamp<int64_t>(progress.done * width / progress.total, 0, width);
      line +=
          cat("[", std::string(static_cast<size_t>(filled), '='), std::string(static_cast<size_t>(width - filled), ' '),
              "] ", human_size(progress.done), " / ", human_size(progress.total));
    } else {
      line += word(progress.phase);
    }
    text += cat("\r\x1b[2K", std::string_view(line).substr(0, columns - 1), "\n");
  }
  drawn_lines_ = order_.size();
  put(text);
}

}  // namespace moss::cli
