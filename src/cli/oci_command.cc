// The OCI runtime's command line. Of its verbs this version has run: a bundle, in the foreground, to its end.
#include "src/cli/oci_command.hh"

#include <CLI/CLI.hpp>

#include "moss/engine/bundle_run.hh"
#include "src/cli/command.hh"
#include "src/cli/options.hh"

namespace moss::cli {

namespace {

// In the form of the name we are called by: clients look for "runc version" and the like.
std::string version_text(std::string_view called_as) {
  return cat(called_as == "moss oci" ? "moss-oci" : called_as, " version ", kVersion, "\nspec: 1.2.0\n");
}

int run_bundle(std::string_view called_as, int argc, char** argv) {
  CLI::App app("run a bundle in the foreground", cat(called_as, " run"));
  app.set_help_flag("--help,-h", "print this text");
  std::string bundle = ".";
  std::string id;
  app.add_option("-b,--bundle", bundle, "folder with config.json (.)");
  app.add_option("ID", id, "name of the container")->required();
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    print(app.help());
    return 0;
  } catch (const CLI::ParseError& error) {
    return fail(Error(0, error.what(), "; see: ", called_as, " run --help"));
  }
  const Result<int> code = engine::run_bundle(bundle, id, [](const std::string& line) { note(line); });
  return code.ok() ? *code : fail(code.error());
}

}  // namespace

int oci_main(std::string_view called_as, int argc, char** argv) {
  const std::string_view verb = argc > 1 ? argv[1] : "--help";
  if (verb == "--version" || verb == "-v" || verb == "-V") {
    print(version_text(called_as));
    return 0;
  }
  if (verb == "--help" || verb == "-h" || verb == "help") {
    print(cat("Usage: ", called_as, " run [-b BUNDLE] ID\n       ", called_as, " --version\n"));
    return 0;
  }
  if (verb == "run") return run_bundle(called_as, argc - 1, argv + 1);
  return fail(Error(0, called_as, " ", printable(verb), " is not supported; see: ", called_as, " --help"));
}

}  // namespace moss::cli
