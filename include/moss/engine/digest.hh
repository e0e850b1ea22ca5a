// Digests of content: "sha256:<hex>", as in the OCI image spec's descriptor.md "Digests".
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "moss/base/result.hh"

namespace moss::engine {

/// Computes one digest piece by piece, with libcrypto (loaded when the first Digester is created).
/// May be used from any one thread at a time.
class Digester {
 public:
  /// `algorithm`: "sha256" or "sha512". Errors: another algorithm; libcrypto.so.3 is missing.
  static Result<Digester> create(std::string_view algorithm = "sha256");
  Digester(Digester&&) noexcept;
  Digester& operator=(Digester&&) noexcept;
  ~Digester();

  void update(const void* data, size_t size);
  void update(std::string_view data) { update(data.data(), data.size()); }
  /// "sha256:<64 lower-case hex digits>". The Digester is used up.
  std::string finish();

 private:
  struct State;
  explicit Digester(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The digest of a text that is in memory.
Result<std::string> digest_of(std::string_view data, std::string_view algorithm = "sha256");

}  // namespace moss::engine
