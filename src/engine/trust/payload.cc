// The signed text. See the header.
#include "payload.hh"

#include <nlohmann/json.hpp>

#include "strict_json.hh"

namespace moss::engine {

Result<SignedPayload> parse_payload(std::string_view json, PayloadType type) {
  const nlohmann::json document = TRY(parse_strict_json(json).context("the signed text"));
  TRY(check_members(document, {"critical", "optional"}, "the signed text"));
  const auto critical = document.find("critical");
  const auto optional = document.find("optional");
  if (critical == document.end() || optional == document.end()) {
    return Error(0, "the signed text: expected critical and optional");
  }
  // cosign writes null where it has nothing to say.
  const bool may_be_null = type == PayloadType::cosign;
  if (!optional->is_object() && !(may_be_null && optional->is_null())) {
    return Error(0, "the signed text: optional: expected an object");
  }
  TRY(check_members(*critical, {"type", "image", "identity"}, "critical"));
  const std::string wanted =
      type == PayloadType::simple ? "atomic container signature" : "cosign container image signature";
  const std::string found = TRY(string_member(*critical, "type", "critical"));
  if (found != wanted) return Error(0, "it is no signature of an image but \"", excerpt(found, 100), "\"");
  const auto image = critical->find("image");
  const auto identity = critical->find("identity");
  if (image == critical->end() || identity == critical->end()) return Error(0, "critical: expected image and identity");
  TRY(check_members(*image, {"docker-manifest-digest"}, "critical.image"));
  TRY(check_members(*identity, {"docker-reference"}, "critical.identity"));
  return SignedPayload{TRY(string_member(*image, "docker-manifest-digest", "critical.image")),
                       TRY(string_member(*identity, "docker-reference", "critical.identity"))};
}

}  // namespace moss::engine
