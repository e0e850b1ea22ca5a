// --tls-verify and its company: each option is described here and nowhere else.
#include "src/cli/registry_options.hh"

#include "src/cli/options.hh"

namespace moss::cli {

void add_tls_options(CLI::App& app, engine::RegistryAccess& access) {
  add_option(app, "--cert-dir", access.cert_dir, "a folder of certificates (*.crt, *.cert, *.key) in place of certs.d");
  add_option(app, "--tls-verify", access.tls_verify, "false also takes plain HTTP and certificates nobody vouches for");
}

void add_registry_options(CLI::App& app, engine::RegistryAccess& access) {
  add_option(app, "--authfile", access.auth_file, "credentials of registries, as moss login writes them");
  add_option(app, "--creds", access.credentials, "USER:PASSWORD");
  add_tls_options(app, access);
}

void add_retry_options(CLI::App& app, RetryWords& words) {
  add_option(app, "--retry", words.retries, "how often what failed is tried again (3)");
  add_option(app, "--retry-delay", words.delay,
             "how long to wait before that: 5s, 1m (0.3s), each time three times as long");
}

Result<Ok> read_retries(const RetryWords& words, int& retries, int& retry_delay_ms) {
  if (words.retries < 0) return Error(0, "--retry ", words.retries, ": expected a number from 0");
  retries = words.retries;
  if (!words.delay.empty()) retry_delay_ms = TRY(parse_delay_ms(words.delay));
  return Ok{};
}

}  // namespace moss::cli
