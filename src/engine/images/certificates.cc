// certs.d. See the header.
#include "certificates.hh"

#include <algorithm>
#include <vector>

#include "moss/sys/file.hh"
#include "moss/sys/process.hh"

namespace moss::engine {

namespace {

constexpr size_t kMaxCertificateBytes = 4u << 20;

// The folder for this host, or nothing. A host's name comes from an image's name: it never has a slash.
std::string find_folder(const std::string& host, const std::string& cert_dir) {
  if (!cert_dir.empty()) return cert_dir;
  std::vector<std::string> parents;
  if (const std::string home = sys::variable("HOME"); !home.empty())
    parents.push_back(home + "/.config/containers/certs.d");
  parents.emplace_back("/etc/containers/certs.d");
  parents.emplace_back("/etc/docker/certs.d");
  for (const std::string& parent : parents) {
    std::string folder = cat(parent, "/", host);
    if (sys::exists(folder)) return folder;
  }
  return "";
}

// What libcurl would believe in by itself: naming authorities replaces those.
Result<std::string> system_authorities() {
  std::vector<std::string> files{"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
                                 "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem"};
  if (const std::string named = sys::variable("SSL_CERT_FILE"); !named.empty()) files = {named};
  for (const std::string& file : files) {
    std::optional<std::string> text = TRY(sys::read_file_if_exists(file, kMaxCertificateBytes));
    if (text) return *text + "\n";
  }
  return "";
}

}  // namespace

Result<Certificates> read_certificates(const std::string& host, const std::string& cert_dir) {
  Certificates found;
  if (!sys::variable("SSL_CERT_FILE").empty()) found.authorities = TRY(system_authorities());
  const std::string folder = find_folder(host, cert_dir);
  if (folder.empty()) return found;
  std::vector<std::string> names = TRY(sys::list_dir(folder).context("read the certificates of ", host));
  std::sort(names.begin(), names.end());
  const auto has = [&](const std::string& name) { return std::find(names.begin(), names.end(), name) != names.end(); };
  std::string own;
  for (const std::string& name : names) {
    const std::string stem = name.substr(0, name.rfind('.'));
    if (name.ends_with(".crt")) {
      own += TRY(sys::read_file(cat(folder, "/", name), kMaxCertificateBytes)) + "\n";
    } else if (name.ends_with(".cert")) {
      if (!has(stem + ".key")) {
        return Error(0, folder, "/", name, ": its key ", stem, ".key is not beside it (authorities end in .crt)");
      }
      if (!found.client_certificate.empty()) {
        return Error(0, folder, ": more than one client certificate; moss shows one, so leave one there");
      }
      found.client_certificate = cat(folder, "/", name);
      found.client_key = cat(folder, "/", stem, ".key");
    } else if (name.ends_with(".key") && !has(stem + ".cert")) {
      return Error(0, folder, "/", name, ": its certificate ", stem, ".cert is not beside it");
    }
  }
  if (!own.empty()) found.authorities = TRY(system_authorities()) + own;
  return found;
}

}  // namespace moss::engine
