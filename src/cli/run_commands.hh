// The commands, each in the file of its kind.
#pragma once

#include <string>
#include <vector>

#include "moss/base/id_range.hh"
#include "moss/base/result.hh"

namespace CLI {
class App;
}

namespace moss::cli {

// run.cc
void define_run(CLI::App& app);
void define_exec(CLI::App& app);
void define_debug(CLI::App& app);

// containers.cc
void define_logs(CLI::App& app);
void define_stop(CLI::App& app);
void define_kill(CLI::App& app);
void define_wait(CLI::App& app);
void define_rm(CLI::App& app);

// container_list.cc
void define_ps(CLI::App& app);

// container_files.cc
void define_diff(CLI::App& app);
void define_container_diff(CLI::App& app);
void define_image_diff(CLI::App& app);
void define_export(CLI::App& app);
void define_commit(CLI::App& app);

// mounts.cc
void define_mount(CLI::App& app);
void define_unmount(CLI::App& app);
void define_image_mount(CLI::App& app);
void define_image_unmount(CLI::App& app);

// inspect.cc
void define_inspect(CLI::App& app);
void define_image_inspect(CLI::App& app);
void define_container_inspect(CLI::App& app);
void define_container_exists(CLI::App& app);

// image_list.cc
void define_images(CLI::App& app);

// image_look.cc
void define_history(CLI::App& app);
void define_image_tree(CLI::App& app);
void define_image_exists(CLI::App& app);
void define_tag(CLI::App& app);
void define_untag(CLI::App& app);

// login.cc
void define_login(CLI::App& app);
void define_logout(CLI::App& app);

// pull.cc
void define_pull(CLI::App& app);

// search.cc
void define_search(CLI::App& app);

// images.cc
void define_load(CLI::App& app);
void define_import(CLI::App& app);
void define_rmi(CLI::App& app);

// manifest.cc
void define_manifest_add(CLI::App& app);
void define_manifest_annotate(CLI::App& app);
void define_manifest_create(CLI::App& app);
void define_manifest_exists(CLI::App& app);
void define_manifest_inspect(CLI::App& app);
void define_manifest_push(CLI::App& app);
void define_manifest_remove(CLI::App& app);
void define_manifest_rm(CLI::App& app);

// push.cc
void define_push(CLI::App& app);
void define_save(CLI::App& app);

// store_commands.cc
void define_image_prune(CLI::App& app);
void define_system_check(CLI::App& app);
void define_system_df(CLI::App& app);
void define_system_prune(CLI::App& app);
void define_system_reset(CLI::App& app);

// system.cc
void define_info(CLI::App& app);
void define_version(CLI::App& app);
void define_unshare(CLI::App& app);

/// The id map of the caller's containers, where no option asks for another.
Result<IdMap> usual_map();

/// Loads a file's images and prints their names: what `load` does, and `pull` of a file. The exit code.
Result<int> load_images(const std::string& source, bool quiet, const std::string& platform,
                        const std::string& signature_policy);

/// "OS/ARCH[/VARIANT]" of --os, --arch and --variant, with this machine's for what was not given; empty where none was.
std::string platform_text(const std::string& os, const std::string& arch, const std::string& variant);

/// ["a", "b"] as words.
Result<std::vector<std::string>> parse_json_words(const std::string& text);

}  // namespace moss::cli
