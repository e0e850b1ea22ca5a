# shellcheck shell=bash
# What the tests of the OCI runtime share: `load oci_helpers`. No image, no store: a bundle, made from a rootfs.
#
# `oci VERB...` is moss as a runtime with a state folder of the test's own. A test that leaves a container, a process or
# a mount behind fails.

# shellcheck source=tests/e2e/helpers.bash
source "$BATS_TEST_DIRNAME/helpers.bash"

oci() { "$MOSS" oci --root "$BATS_TEST_TMPDIR/state" "$@"; }

setup_file() {
  make_rootfs "$BATS_FILE_TMPDIR/rootfs"
}

setup() {
  use_home "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR" || return
}

teardown() { oci_teardown; }

oci_teardown() {
  local id left
  for id in $(oci list --quiet); do oci delete --force "$id" || true; done
  left=$(find "$BATS_TEST_TMPDIR/state" -mindepth 1 ! -path '*/.seccomp*' 2>/dev/null || true)
  cd /
  left+=$(leftovers)
  rm -rf "$BATS_TEST_TMPDIR"
  mkdir "$BATS_TEST_TMPDIR" # bats expects it
  [[ -z $left ]] || fail "left behind:" "$left"
}

teardown_file() { rm -rf "$BATS_FILE_TMPDIR/rootfs"; }

# A bundle in folder $1 (made) that runs the words after it. $EDIT is a jq filter for its config.json. Root's containers
# have a cgroup, named so that tests that run at once stay out of each other's way.
bundle() {
  local dir=$1 cgroup=''
  ((EUID)) || cgroup=/moss-test-$$-$BATS_TEST_NUMBER-$1
  shift
  mkdir -p "$dir"
  [[ -e $dir/rootfs ]] || cp -a "$BATS_FILE_TMPDIR/rootfs" "$dir/rootfs"
  rm -f "$dir/config.json"
  oci spec --rootless --bundle "$dir"
  jq --arg words "$(printf '%s\n' "$@")" ".process.terminal = false | .root.readonly = false
    | (if \"$cgroup\" != \"\" then .linux.cgroupsPath = \"$cgroup\" else . end)
    | .process.args = (\$words | split(\"\n\")) | .mounts |= map(select(.destination != \"/sys/fs/cgroup\")) | ${EDIT:-.}" \
    "$dir/config.json" >"$dir/config.new"
  mv "$dir/config.new" "$dir/config.json"
}

status_of() { oci state "$1" | jq -r .status; }
has_status() { [[ $(status_of "$1") == "$2" ]]; }
pid_of() { oci state "$1" | jq .pid; }
