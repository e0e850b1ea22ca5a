// Drawing a pull.
#include "src/cli/progress.hh"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "moss/base/time.hh"
#include "src/cli/command.hh"

namespace moss::cli {

namespace {

using Phase = engine::Progress::Phase;

void put(const std::string& text) { (void)!::write(STDERR_FILENO, text.data(), text.size()); }

std::string short_digest(const std::string& digest) {
  const size_t colon = digest.find(':');
  return digest.substr(colon == std::string::npos ? 0 : colon + 1, 12);
}

struct PhaseWords {
  Phase phase;
  std::string_view program;
  std::string_view people;  // behind a layer's digest; empty of what is no layer's
};
constexpr PhaseWords kPhases[] = {
    {Phase::trying, "trying", ""},
    {Phase::config, "config", ""},
    {Phase::exists, "exists", "already here"},
    {Phase::waiting, "waiting", "waiting for another moss"},
    {Phase::downloading, "downloading", "downloading"},
    {Phase::unpacking, "unpacking", "unpacking"},
    {Phase::done, "done", "done"},
    {Phase::compressing, "compressing", "compressing"},
    {Phase::sending, "sending", "sending"},
    {Phase::sent, "sent", "sent"},
    {Phase::mounted, "mounted", "mounted from another repository"},
    {Phase::unchanged, "unchanged", ""},
    {Phase::storing, "storing", ""},
    {Phase::warning, "warning", ""},
};
static_assert(std::size(kPhases) == static_cast<size_t>(Phase::warning) + 1);

const PhaseWords& words_of(Phase phase) {
  return *std::find_if(std::begin(kPhases), std::end(kPhases), [&](const auto& one) { return one.phase == phase; });
}

bool is_transfer(Phase phase) { return phase == Phase::downloading || phase == Phase::sending; }

std::string time_left(int64_t seconds) {
  if (seconds < 60) return cat(seconds, "s");
  if (seconds < 3600) return cat(seconds / 60, "m", seconds % 60, "s");
  return cat(seconds / 3600, "h", seconds % 3600 / 60, "m");
}

// How a layer came here: "done, reused 12 MB" where only the rest was fetched.
std::string words(const engine::Progress& progress) {
  const bool reused = progress.phase == Phase::done && progress.reused > 0;
  return cat(words_of(progress.phase).people, reused ? cat(", reused ", human_size(progress.reused)) : "");
}

bool is_layer(const engine::Progress& progress) {
  return !progress.digest.empty() && !words_of(progress.phase).people.empty();
}

}  // namespace

ProgressDisplay::ProgressDisplay(Style style)
    : style_(style),
      bars_(::isatty(STDERR_FILENO) == 1 && std::string_view(::getenv("TERM") ? ::getenv("TERM") : "dumb") != "dumb") {}

ProgressDisplay::~ProgressDisplay() { finish(); }

void ProgressDisplay::finish() {
  if (style_ == Style::automatic && bars_ && !order_.empty()) draw();
  order_.clear();
  progress_.clear();
  rates_.clear();
  drawn_lines_ = 0;
}

void ProgressDisplay::show(const engine::Progress& progress) {
  if (style_ == Style::silent) return;
  if (style_ == Style::json) {
    print(progress_line(progress));
    return;
  }
  if (progress.phase == Phase::trying) {
    put(cat("Trying to pull ", printable(progress.name), "...\n"));
    return;
  }
  if (progress.phase == Phase::warning) {
    put(cat("Warning: ", printable(progress.name), "\n"));
    // The bars go on below it.
    drawn_lines_ = 0;
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
      put(cat(short_digest(progress.digest), " ", words(progress),
              is_transfer(progress.phase) && progress.total > 0 ? cat(" ", human_size(progress.total)) : "", "\n"));
    }
    return;
  }
  if (is_transfer(progress.phase)) rates_.try_emplace(progress.digest, Rate{now_ms(), progress.done});
  if (!changed && now_ms() - last_drawn_ms_ < 50) return;
  draw();
}

std::string ProgressDisplay::draw_line(const engine::Progress& progress, size_t columns) const {
  constexpr size_t kBesideTheBar = 70;
  const std::string name = short_digest(progress.digest) + " ";
  if (!is_transfer(progress.phase) || progress.total <= 0 || columns <= 50) return name + words(progress);
  std::string line = name;
  if (columns > kBesideTheBar) {
    const auto width = static_cast<int64_t>(columns - kBesideTheBar);
    const int64_t filled = std::clamp<int64_t>(progress.done * width / progress.total, 0, width);
    line += cat("[", std::string(static_cast<size_t>(filled), '='),
                std::string(static_cast<size_t>(width - filled), ' '), "] ");
  }
  line += cat(human_size(progress.done), " / ", human_size(progress.total));
  const auto rate = rates_.find(progress.digest);
  const int64_t took_ms = rate != rates_.end() ? now_ms() - rate->second.since_ms : 0;
  // A first moment says nothing about the rest.
  if (took_ms < 500 || progress.done <= rate->second.from) return line;
  const int64_t per_second = (progress.done - rate->second.from) * 1000 / took_ms;
  line += cat(" ", human_size(per_second), "/s");
  if (per_second > 0) line += cat(" ", time_left((progress.total - progress.done) / per_second), " left");
  return line;
}

void ProgressDisplay::draw() {
  last_drawn_ms_ = now_ms();
  winsize size{};
  const unsigned columns = ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80u;
  std::string text = drawn_lines_ > 0 ? cat("\x1b[", drawn_lines_, "A") : std::string();
  for (const std::string& digest : order_) {
    const std::string line = draw_line(progress_[digest], columns);
    text += cat("\r\x1b[2K", std::string_view(line).substr(0, columns - 1), "\n");
  }
  drawn_lines_ = order_.size();
  put(text);
}

std::string progress_line(const engine::Progress& progress) {
  nlohmann::ordered_json line = {{"status", words_of(progress.phase).program}};
  if (!progress.name.empty()) line["name"] = progress.name;
  if (!progress.digest.empty()) line["id"] = progress.digest;
  if (progress.total > 0) {
    line["current"] = progress.done;
    line["total"] = progress.total;
    if (progress.reused > 0) line["reused"] = progress.reused;
  }
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

std::string pulled_line(const std::string& name, const std::string& id) {
  const nlohmann::ordered_json line = {{"status", "pulled"}, {"name", name}, {"id", id}};
  return line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

}  // namespace moss::cli
