// Where load and import read from.
#pragma once

#include <string>

#include "moss/base/fd.hh"
#include "moss/base/result.hh"

namespace moss::engine {

/// A file, a folder, a pipe, or the standard input for "-". Errors: a terminal or another device.
Result<Fd> open_archive(const std::string& path);

}  // namespace moss::engine
