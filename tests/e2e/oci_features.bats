#!/usr/bin/env bats
# `moss oci features` tells the truth: each claim is tried. Whether it has the spec's form, scripts/conformance looks.
# as: root user
# speed: slow

load oci_helpers

claim() {
  cp -a "$BATS_FILE_TMPDIR/rootfs" rootfs
  run python3 "$BATS_TEST_DIRNAME/check_features.py" "$MOSS" "$PWD/rootfs" "$1"
  assert_success
}

@test "its namespaces" { claim namespaces; }
@test "its hooks" { claim hooks; }
@test "its mount options, idmapped mounts among them" { claim mount_options; }
@test "its capabilities" { claim capabilities; }
@test "its cgroups" { claim cgroup; }
@test "its actions of seccomp" { claim seccomp_actions; }
@test "its operators of seccomp" { claim seccomp_operators; }
@test "its architectures of seccomp" { claim seccomp_archs; }
@test "its flags of seccomp" { claim seccomp_flags; }
@test "its memory policies" { claim memory_policy; }
@test "its interfaces, resctrl groups and security modules" { claim devices_and_confinement; }

@test "it needs no folder to write in and no other word" {
  run env -i "$MOSS" oci features
  assert_success
  [[ $(jq -r '.ociVersionMin + " " + .ociVersionMax' <<<"$output") == "1.0.0 1.3.0" ]]
}
