// Some input in, some output out, until the output is full or the input has ended. See the header.
#include "inflated_input.hh"

namespace moss::engine {

Result<std::string_view> InflatedInput::start(int fd, int stop_event) {
  input_ = TRY(open_layer_input(fd, stop_event));
  // A pipe may give its first bytes one by one.
  constexpr size_t kTellingBytes = 512;
  while (!input_ended_ && unread_.size() < kTellingBytes) TRY(refill());
  return std::string_view(reinterpret_cast<const char*>(unread_.data()), unread_.size());
}

Result<Ok> InflatedInput::refill() {
  const size_t before = unread_.size();
  input_ended_ = !TRY(input_->add_to(unread_));
  compressed_bytes_ += unread_.size() - before;
  return Ok{};
}

Result<size_t> InflatedInput::fill(std::span<uint8_t> out) {
  std::span<uint8_t> rest = out;
  while (!rest.empty()) {
    // So that no input means to an inflater that there will be none.
    if (unread_.empty() && !input_ended_) TRY(refill());
    const size_t in_before = unread_.size();
    const size_t out_before = rest.size();
    TRY(inflater_->run(unread_, rest));
    if (unread_.size() != in_before || rest.size() != out_before) continue;
    // It wants more input than there is.
    if (input_ended_) {
      if (!inflater_->may_end() || !unread_.empty()) return Error(0, "the ", what_, " is cut off");
      break;
    }
    if (unread_.size() >= LayerInput::kEnough) return Error(0, "the ", what_, "'s compressed data is damaged");
    TRY(refill());
  }
  return out.size() - rest.size();
}

}  // namespace moss::engine
