// CLI11, without what it would do at every start.
//
// <iostream>, which it includes, holds an object that sets up eight streams and every facet of a locale before main():
// 0.3 MB and dozens of page faults, for `moss oci run` too, which parses nothing with CLI11. We never write to those
// streams, and CLI11 does only in App::exit() and for deprecated options, of which there are none. So here they are
// declared as that header declares them, and it counts as included.
#pragma once

#include <istream>
#include <ostream>

#define _GLIBCXX_IOSTREAM 1  // NOLINT(bugprone-reserved-identifier): libstdc++'s own guard
namespace std {              // NOLINT(cert-dcl58-cpp): its declarations
extern istream cin;
extern ostream cout;
extern ostream cerr;
}  // namespace std

#include <CLI/CLI.hpp>
