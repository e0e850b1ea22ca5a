// Mounts that are nowhere yet: made as descriptors, to be attached later. For parent and child alike; see raw.hh.
#pragma once

#include <sys/mount.h>

#include "moss/runtime/step.hh"

namespace moss::runtime {

/// fsopen(2) … fsmount(2). Where `held` is given, absolute paths among the options are replaced by its descriptors, one
/// after the other. A descriptor, or -1.
int new_mount(const char* type, const char* source, Strings options, uint64_t attributes, const int* held = nullptr);

/// An overlay by mount(2) of the folders that `held` has, one for each that the options name. A descriptor, or -1.
int classic_overlay(const MountRootClassic& step, const int* held);

/// The mount that a step asks for, in the best way that works: fsopen(2), mount(2), or the host's own in its place.
/// `scratch` is a folder of the host that a mount may lie over for a moment. A descriptor, or -1.
int prepare_mount(const PrepareMount& step, const char* scratch);

/// A copy of a piece of the mount tree, with its attributes: of `held` where the step says so. A descriptor, or -1.
int prepare_bind(const PrepareBind& step, int held = -1);

/// mount_setattr(2) of a mount by descriptor; with `below` of everything mounted under it too.
long set_attributes(int mount, bool below, mount_attr attributes);

/// New options for the filesystem that is mounted there: fspick(2). 0 or an errno.
int reconfigure(int mount, Strings options);

/// The changes of one step. What the host locked (a read-only source, say) stays locked. 0 or an errno.
int change_attributes(int mount, uint64_t set, uint64_t clear, bool below);

}  // namespace moss::runtime
