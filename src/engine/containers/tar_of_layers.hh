// Layers as one tar: of everything in them, or of what the topmost changes.
#pragma once

#include "moss/base/result.hh"
#include "src/engine/containers/merged_dir.hh"

namespace moss::engine {

/// All files of the merged view, sorted by name. Sockets are left out: no archive can hold one. `as_layer`: names that
/// would be read as removals are an error.
Result<Ok> write_all_files(const MergedDir& layers, bool as_layer, int out);

/// The topmost layer as a layer of an image: what it removes are ".wh." files, folders that hide what is below them
/// have
/// ".wh..wh..opq". `lower` is what it lies on.
Result<Ok> write_layer(const Fd& upper, const MergedDir& lower, int out);

}  // namespace moss::engine
