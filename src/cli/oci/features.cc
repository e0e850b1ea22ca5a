// features.
#include "moss/runtime/features.hh"

#include "src/cli/command.hh"
#include "src/cli/oci/verb.hh"

namespace moss::cli {

int oci_features(const OciGlobals& globals, const OciVerb& verb, const Words& words) {
  Arguments arguments;
  return with_arguments(globals, verb, arguments, words, [&]() -> Result<int> {
    if (!arguments.words().empty()) return Error(0, "features takes no container");
    oci::Features features = TRY(runtime::features());
    features.annotations["moss.version"] = kVersion;
    print(oci::encode_features(features));
    return 0;
  });
}

}  // namespace moss::cli
