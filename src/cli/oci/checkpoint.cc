// checkpoint and restore: not supported, and said so in the way by which engines find out.
//
// Podman asks "checkpoint --help", where exit code 0 means that there is CRIU, and "restore --lsm-mount-context", where
// "flag needs an argument" means that it knows the option. So neither is answered like any other verb's.
#include "src/cli/oci/verb.hh"

namespace moss::cli {

int oci_checkpoint(const OciGlobals& globals, const OciVerb&, const Words&) {
  return oci_fail(globals, Error(0, "checkpoint is not supported: moss has no CRIU"));
}

int oci_restore(const OciGlobals& globals, const OciVerb&, const Words&) {
  return oci_fail(globals, Error(0, "restore is not supported: moss has no CRIU"));
}

}  // namespace moss::cli
