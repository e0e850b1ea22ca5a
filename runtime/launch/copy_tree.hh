// Copying a folder into a fresh tmpfs in the child, where nothing may be allocated.
#pragma once

namespace moss::runtime {

/// Copies everything in `from` into `to`: folders, files, symlinks, with owners, modes and times. Devices, FIFOs and
/// sockets are left out. Gives 0 or an errno. Errors: ELOOP where folders nest deeper than 64.
int copy_tree(int from, int to);

}  // namespace moss::runtime
