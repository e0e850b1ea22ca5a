// The verbs.
#include "src/cli/command.hh"
#include "src/cli/run_commands.hh"

namespace moss::cli {

namespace {

constexpr Command kContainerCommands[] = {
    {"run", "[OPTIONS] IMAGE [COMMAND [ARGUMENT...]]", "run a command in a new container", define_run},
    {"exec", "[OPTIONS] CONTAINER COMMAND [ARGUMENT...]", "run one more command in a container", define_exec},
    {"ps", "[OPTIONS]", "list containers", define_ps},
    {"logs", "[OPTIONS] CONTAINER", "show what a container wrote", define_logs},
    {"stop", "[OPTIONS] CONTAINER...", "stop containers", define_stop},
    {"kill", "[OPTIONS] CONTAINER...", "send containers a signal", define_kill},
    {"wait", "CONTAINER...", "wait for containers to end and print their exit codes", define_wait},
    {"rm", "[OPTIONS] CONTAINER...", "remove containers", define_rm},
    {"diff", "[OPTIONS] NAME [BEFORE]",
     "show what a container changed, or an image's top layer, or what makes one the other", define_diff},
    {"commit", "[OPTIONS] CONTAINER [NAME]", "make an image of a container", define_commit},
    {"export", "[OPTIONS] CONTAINER", "write a container's files as a tar", define_export},
    {"mount", "[OPTIONS] [CONTAINER...]", "mount containers' files, or list what is mounted", define_mount},
    {"unmount", "[OPTIONS] CONTAINER...", "end what mount did", define_unmount},
    {"umount", "[OPTIONS] CONTAINER...", "the same as unmount", define_unmount},
    {"inspect", "[OPTIONS] NAME...", "show all about containers or images, as JSON", define_inspect},
};

constexpr Command kImageCommands[] = {
    {"pull", "[OPTIONS] IMAGE...", "fetch images from a registry or a file", define_pull},
    {"search", "[OPTIONS] TERM", "look for images in registries", define_search},
    {"login", "[OPTIONS] [REGISTRY]", "log in to a registry", define_login},
    {"logout", "[OPTIONS] [REGISTRY]", "forget a login", define_logout},
    {"load", "[OPTIONS]", "load images from an archive", define_load},
    {"push", "[OPTIONS] IMAGE [DESTINATION]", "send an image to a registry, or into a file", define_push},
    {"save", "[OPTIONS] IMAGE...", "write images into an archive", define_save},
    {"import", "[OPTIONS] FILE [NAME]", "make an image of a root filesystem's tar", define_import},
    {"images", "[OPTIONS] [NAME]", "list images", define_images},
    {"history", "[OPTIONS] IMAGE", "show the steps an image was made by", define_history},
    {"tag", "IMAGE NAME...", "give an image more names", define_tag},
    {"untag", "IMAGE [NAME...]", "take names from an image, all of them where none is given", define_untag},
    {"rmi", "[OPTIONS] IMAGE...", "remove images", define_rmi},
};

constexpr Command kSystemCommands[] = {
    {"info", "[OPTIONS]", "show what this host can do and where things are", define_info},
    {"version", "[OPTIONS]", "show the version", define_version},
    {"unshare", "[COMMAND [ARGUMENT...]]", "run a command in your user namespace, as its root", define_unshare},
    {"debug", "plan [OPTIONS OF RUN] IMAGE [COMMAND...]", "print the steps of a launch", define_debug},
};

// Verbs of two words. A noun also takes the verbs of its kind under their own name ("image pull"); what is called
// otherwise behind it stands here.

constexpr Command kContainerGroup[] = {
    {"diff", "[OPTIONS] CONTAINER [BEFORE]", "show what a container changed, or has that another has not",
     define_container_diff},
    {"exists", "CONTAINER", "tell by the exit code whether a container is here: 0, or 1 where it is not",
     define_container_exists},
    {"inspect", "[OPTIONS] CONTAINER...", "show all about containers, as JSON", define_container_inspect},
    {"ls", "[OPTIONS]", "list containers", define_ps},
    {"list", "[OPTIONS]", "list containers", define_ps},
};

constexpr Command kImageGroup[] = {
    {"diff", "[OPTIONS] IMAGE [BEFORE]", "show what an image's top layer changes, or what it has that another has not",
     define_image_diff},
    {"exists", "IMAGE", "tell by the exit code whether an image is here: 0, or 1 where it is not", define_image_exists},
    {"inspect", "[OPTIONS] IMAGE...", "show all about images, as JSON", define_image_inspect},
    {"ls", "[OPTIONS] [NAME]", "list images", define_images},
    {"list", "[OPTIONS] [NAME]", "list images", define_images},
    {"mount", "[OPTIONS] [IMAGE...]", "mount images' files, or list what is mounted", define_image_mount},
    {"prune", "[OPTIONS]", "remove images that nobody uses", define_image_prune},
    {"rm", "[OPTIONS] IMAGE...", "remove images", define_rmi},
    {"tree", "[OPTIONS] IMAGE", "show an image's layers, and whose they are too", define_image_tree},
    {"unmount", "[OPTIONS] IMAGE...", "end what mount did", define_image_unmount},
    {"umount", "[OPTIONS] IMAGE...", "the same as unmount", define_image_unmount},
};

constexpr Command kSystemGroup[] = {
    {"check", "[OPTIONS]", "prove that images are what they were when they came; repair what is not",
     define_system_check},
    {"df", "[OPTIONS]", "show how much space images and containers take", define_system_df},
    {"info", "[OPTIONS]", "show what this host can do and where things are", define_info},
    {"prune", "[OPTIONS]", "remove what nobody uses", define_system_prune},
    {"reset", "[OPTIONS]", "remove everything that moss keeps for you", define_system_reset},
};

constexpr Command kManifestCommands[] = {
    {"create", "[OPTIONS] LIST [IMAGE...]", "make a list", define_manifest_create},
    {"add", "[OPTIONS] LIST IMAGE...", "add images to a list", define_manifest_add},
    {"annotate", "[OPTIONS] LIST IMAGE", "change what a list says of an image", define_manifest_annotate},
    {"inspect", "[OPTIONS] LIST", "show a list, as JSON", define_manifest_inspect},
    {"push", "[OPTIONS] LIST [DESTINATION]", "send a list and its images to a registry", define_manifest_push},
    {"exists", "LIST", "end with 0 where there is such a list, else with 1", define_manifest_exists},
    {"remove", "LIST IMAGE", "take an image out of a list", define_manifest_remove},
    {"rm", "[OPTIONS] LIST...", "remove lists", define_manifest_rm},
};

constexpr CommandGroup kGroups[] = {
    {"container", "the verbs for containers, behind their noun", kContainerGroup, kContainerCommands},
    {"image", "the verbs for images, behind their noun", kImageGroup, kImageCommands},
    {"manifest", "lists of images for several platforms", kManifestCommands, {}},
    {"system", "look after what moss keeps", kSystemGroup, {}},
};

constexpr MissingCommand kMissingCommands[] = {
    {"build", "moss builds no images; build with buildah, and fetch the result: moss pull containers-storage:NAME"},
    {"image build",
     "moss builds no images; build with buildah, and fetch the result: moss pull containers-storage:NAME"},
    {"image scp", "use moss save IMAGE | ssh HOST moss load"},
    {"image sign", "moss signs nothing; sign what was pushed with cosign or skopeo"},
    {"image trust", "write it into ~/.config/containers/policy.json, which every pull follows"},
    {"system connection", "moss works on this host alone"},
    {"system migrate", "there is no database that would need it"},
    {"system renumber", "there are no numbered locks that would need it"},
    {"system service", "moss has no service"},
};

}  // namespace

std::span<const MissingCommand> missing_commands() { return kMissingCommands; }
std::span<const CommandGroup> command_groups() { return kGroups; }
std::span<const Command> container_commands() { return kContainerCommands; }
std::span<const Command> image_commands() { return kImageCommands; }
std::span<const Command> system_commands() { return kSystemCommands; }

}  // namespace moss::cli
