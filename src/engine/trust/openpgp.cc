// OpenPGP signatures by gpgv. See the header. Its status lines are described in GnuPG's doc/DETAILS.
#include "openpgp.hh"

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include "moss/base/base64.hh"
#include "moss/sys/child.hh"
#include "moss/sys/file.hh"
#include "moss/sys/pipe.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxStatusBytes = 1u << 20;
constexpr size_t kMaxPayloadBytes = 256u << 10;
constexpr std::string_view kBegin = "-----BEGIN PGP PUBLIC KEY BLOCK-----";
constexpr std::string_view kEnd = "-----END PGP PUBLIC KEY BLOCK-----";

// A tag byte of OpenPGP: the first bit is set, and the tag says what follows.
bool begins_with_key(std::string_view bytes) {
  if (bytes.empty() || (static_cast<unsigned char>(bytes[0]) & 0x80) == 0) return false;
  const auto first = static_cast<unsigned char>(bytes[0]);
  const int tag = (first & 0x40) != 0 ? first & 0x3f : (first >> 2) & 0x0f;
  return tag == 6;  // a public key
}

// The lines of one armored block, without headers and checksum.
Result<std::string> dearmor_block(std::string_view block) {
  std::string base64;
  bool in_headers = true;
  for (const std::string_view raw : split(block, '\n')) {
    const std::string_view line = trim(raw);
    if (in_headers && line.find(": ") != std::string_view::npos) continue;
    if (line.empty()) {
      if (!base64.empty()) break;
      continue;
    }
    in_headers = false;
    if (line.starts_with('=')) break;  // the checksum
    base64 += line;
  }
  std::optional<std::string> bytes = base64_decode(base64);
  if (!bytes || !begins_with_key(*bytes)) return Error(0, "not a public key of OpenPGP");
  return std::move(*bytes);
}

Result<std::string> read_pipe(Fd& reading) { return sys::read_stream(reading.get(), "gpgv's answer", kMaxStatusBytes); }

// A message may be compressed, and gpgv writes what comes out before it knows whether anybody signed it.
void limit_files(pid_t pid) {
  const rlimit size{.rlim_cur = kMaxPayloadBytes, .rlim_max = kMaxPayloadBytes};
  const rlimit no_core{.rlim_cur = 0, .rlim_max = 0};
  // What it had written before is as good as nothing.
  (void)::prlimit(pid, RLIMIT_FSIZE, &size, nullptr);
  (void)::prlimit(pid, RLIMIT_CORE, &no_core, nullptr);
}

}  // namespace

Result<std::string> dearmor_keys(std::string_view text) {
  if (text.find("PRIVATE KEY BLOCK") != std::string_view::npos) {
    return Error(0, "a private key; export the public one: gpg --export");
  }
  if (begins_with_key(text)) return std::string(text);
  std::string keys;
  for (size_t at = text.find(kBegin); at != std::string_view::npos; at = text.find(kBegin, at)) {
    at += kBegin.size();
    const size_t end = text.find(kEnd, at);
    if (end == std::string_view::npos) return Error(0, "a key block without an end");
    keys += TRY(dearmor_block(text.substr(at, end - at)));
    at = end;
  }
  if (keys.empty()) return Error(0, "not a public key of OpenPGP, as gpg --export writes it");
  return keys;
}

Result<Ok> judge_gpgv(std::string_view status) {
  int good = 0;
  int valid = 0;
  int signatures = 0;
  std::string complaint;
  for (const std::string_view line : split(status, '\n')) {
    if (!line.starts_with("[GNUPG:] ")) continue;
    const auto [word, rest] = cut(line.substr(9), ' ');
    const std::string key(cut(rest.value_or(""), ' ').first);
    if (word == "NEWSIG") ++signatures;
    if (word == "GOODSIG") ++good;
    if (word == "VALIDSIG") ++valid;
    if (word == "BADSIG") complaint = "the signature does not fit the text";
    if (word == "EXPSIG") complaint = "the signature has expired";
    if (word == "EXPKEYSIG") complaint = cat("the key ", key, " has expired");
    if (word == "REVKEYSIG") complaint = cat("the key ", key, " was revoked");
    if (word == "NO_PUBKEY") complaint = cat("it is by the key ", key, ", which the policy does not have");
    if (word == "ERRSIG" && complaint.empty()) complaint = cat("it is by the key ", key, ", which cannot be used");
    if (word == "NODATA" || word == "UNEXPECTED") complaint = "not a signed message";
  }
  if (!complaint.empty()) return Error(0, printable(complaint));
  if (good != 1 || valid != 1 || signatures > 1) return Error(0, "not one good signature");
  return Ok{};
}

Result<std::string> verify_openpgp(std::string_view message, std::string_view keys) {
  // A detached or clear-signed one is something else.
  if (message.empty() || (static_cast<unsigned char>(message[0]) & 0x80) == 0) {
    return Error(0, "not a signed message of OpenPGP");
  }
  const std::optional<std::string> gpgv = sys::find_program("gpgv");
  if (!gpgv)
    return Error(0, "the policy wants signatures verified, and gpgv is not installed (Debian: apt install gpgv)");
  const sys::TemporaryDir folder = TRY(sys::TemporaryDir::create("/tmp", "moss-gpgv-"));
  const std::string keyring = folder.path() + "/keys.gpg";
  const std::string signed_file = folder.path() + "/signature";
  const std::string payload = folder.path() + "/payload";
  TRY(sys::create_file(keyring, keys, 0600));
  TRY(sys::create_file(signed_file, message, 0600));
  auto [reading, writing] = TRY(sys::make_pipe());
  sys::Child child = TRY(sys::spawn(
      {*gpgv, "--homedir", folder.path(), "--keyring", keyring, "--status-fd", "1", "--output", payload, signed_file},
      {.stdout_fd = writing.get(), .environment = {"LC_ALL=C", "PATH=/usr/bin:/bin"}}));
  writing.reset();
  limit_files(child.pid());
  const std::string status = TRY(read_pipe(reading));
  const sys::Exit exit = TRY(child.wait());
  if (exit.signal == SIGXFSZ) return Error(EFBIG, "its text is larger than ", kMaxPayloadBytes, " bytes; refused");
  TRY(judge_gpgv(status));
  if (!exit.ok()) return Error(0, "gpgv does not accept it (exit code ", exit.shell_code(), ")");
  return sys::read_file(payload, kMaxPayloadBytes);
}

}  // namespace moss::engine
