// Image references: the names people pull by, such as quay.io/podman/hello:v1 or docker.io/library/alpine@sha256:….
//
//   reference  = name [":" tag] ["@" digest]
//   name       = [registry "/"] component {"/" component}
//   registry   = host [":" port]                  a first part with a '.' or ':' in it, or "localhost"
//   host       = letters, digits, '-', '.'; or an IPv6 address in brackets
//   component  = lower-case letters and digits, with single '.', one or two '_', or any number of '-' between them
//   tag        = a letter, digit or '_', then up to 127 of those, '.' and '-'
//   digest     = see Digest
//
// The grammar is that of the distribution project, and "docker.io" means what it means there. Everything here is pure.
// A reference that parsed is safe in a URL and, part by part, in a path: no "..", no empty part, no control byte.
#pragma once

#include <string>
#include <string_view>

#include "moss/base/result.hh"

namespace moss::oci {

/// A repository path may be this long, in bytes.
inline constexpr size_t kMaxRepositoryBytes = 255;

/// An image's name in parts, as the functions below make it: registry and repository are there (but see
/// parse_short_name), and a tag, a digest or both.
struct Reference {
  std::string registry;    ///< "quay.io", "localhost:5000"; empty for a short name
  std::string repository;  ///< "podman/hello"
  std::string tag;         ///< "latest"; empty if only a digest was given
  std::string digest;      ///< "sha256:…", as Digest::parse accepts it; may be empty
  bool operator==(const Reference&) const = default;
};

/// True if no registry is named: the part before the first '/' has no '.' and no ':', and is not "localhost"; or there
/// is no '/' at all. Says nothing about whether the rest is well-formed.
bool is_short_name(std::string_view name);

/// Reads a fully-qualified name. "docker.io/alpine" becomes docker.io/library/alpine and "index.docker.io/…" becomes
/// docker.io/…; without a tag and a digest, the tag is "latest". With both, both are kept: the digest decides.
/// Error: not well-formed, or a short name; the message quotes the name and says which part is wrong and what it may
/// be.
Result<Reference> parse_reference(std::string_view name);

/// Reads a short name. The registry stays empty and nothing is added to the repository: whoever finds the registry, in
/// registries.conf or among the images at hand, makes a full name with name_in(). The tag as above.
/// Error: not well-formed, names a registry, or is 64 hex digits, which can only be meant as an image id.
Result<Reference> parse_short_name(std::string_view name);

/// A short name's repository in a registry: "quay.io/alpine", but "docker.io/library/alpine".
std::string name_in(std::string_view registry, std::string_view repository);

/// "quay.io/podman/hello", without tag and digest.
std::string repository_name(const Reference& reference);

/// "quay.io/podman/hello:v1@sha256:…"; parse_reference() gives back the same reference.
std::string to_string(const Reference& reference);

}  // namespace moss::oci
