// moss as an OCI runtime: `moss oci`, `moss-oci`, or called as crun or runc.
#pragma once

#include <string_view>

namespace moss::cli {

int oci_main(std::string_view called_as, int argc, char** argv);

}  // namespace moss::cli
