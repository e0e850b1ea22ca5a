// The command line.
#pragma once

namespace moss::cli {

/// Everything `moss`, `moss-oci`, `crun` and `runc` do. Gives the exit code: Podman's 125 for moss's own failures, 126
/// and 127 for a command that cannot be run or found, else the container's.
int main(int argc, char** argv);

}  // namespace moss::cli
