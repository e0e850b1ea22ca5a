// Changes to what an image says of its containers, in the words of a Containerfile: `import --change`.
#pragma once

#include <string_view>

#include "moss/base/result.hh"
#include "moss/oci/image.hh"

namespace moss::engine {

/// Applies one instruction: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or WORKDIR, in either case,
/// followed by a space or, as Podman's manual has it, by "=": "CMD=sh", "ENV PATH=/bin LANG=C", "CMD [\"sh\", \"-l\"]".
/// A command that is no JSON list is a line for /bin/sh. Words of the others may be quoted; nothing is expanded.
/// Pure. Error: another instruction, or one without what it needs; the config is as it was.
Result<Ok> apply_change(oci::ImageRunConfig& config, std::string_view instruction);

}  // namespace moss::engine
