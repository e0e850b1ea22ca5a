// The tables of a seccomp policy, which stands both in config.json and in files of its own. Private to oci/.
#pragma once

#include "json_table.hh"
#include "moss/oci/seccomp.hh"

namespace moss::oci {

template <>
inline constexpr auto fields<SeccompArg> =
    std::tuple(required("index", &SeccompArg::index), required("value", &SeccompArg::value),
               optional("valueTwo", &SeccompArg::value_two), required("op", &SeccompArg::op));

template <>
inline constexpr auto fields<SeccompRule> =
    std::tuple(required("names", &SeccompRule::names), required("action", &SeccompRule::action),
               optional("errnoRet", &SeccompRule::errno_ret), optional("args", &SeccompRule::args));

/// What a policy has beside its rules.
inline constexpr auto kSeccompHead = std::tuple(
    required("defaultAction", &Seccomp::default_action), optional("defaultErrnoRet", &Seccomp::default_errno_ret),
    optional("architectures", &Seccomp::architectures), optional("flags", &Seccomp::flags),
    optional("listenerPath", &Seccomp::listener_path), optional("listenerMetadata", &Seccomp::listener_metadata));

template <>
inline constexpr auto fields<Seccomp> =
    std::tuple_cat(kSeccompHead, std::tuple(optional("syscalls", &Seccomp::syscalls)));

}  // namespace moss::oci
