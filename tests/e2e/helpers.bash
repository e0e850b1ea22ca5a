# shellcheck shell=bash
# What every end-to-end test starts from: `load helpers`.
#
# A test has a home, a store and a runtime folder of its own, all below $BATS_TEST_TMPDIR; the store is a copy of one
# that holds the image `alpine` alone. $MOSS is the binary; `moss ARG...` runs it. After each test every container is
# removed, and a process, mount or state folder that is left then fails the test.
#
# A file that makes no container says "# needs: nothing" in its head, one that only root can run "# needs: root", one
# that takes over 20 s "# speed: slow".

bats_require_minimum_version 1.5.0
export repo
repo=$(cd "$BATS_TEST_DIRNAME/../.." && pwd)
: "${MOSS:=$repo/build/moss}"

moss() { "$MOSS" "$@"; }

# As root of a user namespace with all the caller's ids: for files of subordinate ids.
as_owner() {
  if ((EUID == 0)); then
    "$@"
  else
    unshare --user --map-root-user --map-auto -- "$@"
  fi
}

use_home() {
  export HOME=$1/home XDG_DATA_HOME=$1/data XDG_CONFIG_HOME=$1/config XDG_CACHE_HOME=$1/cache XDG_RUNTIME_DIR=$1/run
  mkdir -p "$1" && mkdir -m 700 "$HOME" "$XDG_DATA_HOME" "$XDG_CONFIG_HOME" "$XDG_CACHE_HOME" "$XDG_RUNTIME_DIR"
}

# The root filesystem all images of the tests are made from: Alpine's, or one assembled from busybox.
rootfs_tarball() {
  local found
  for found in "${MOSS_ALPINE_TARBALL-}" "$repo"/../shared/images/alpine-minirootfs-*-"$(uname -m)".tar.gz; do
    [[ -r $found ]] && printf '%s\n' "$found" && return
  done
  "$repo/scripts/busybox-rootfs" "$BATS_FILE_TMPDIR/busybox.tar.gz"
  printf '%s\n' "$BATS_FILE_TMPDIR/busybox.tar.gz"
}

setup_file() {
  use_home "$BATS_FILE_TMPDIR/template"
  moss import --quiet "$(rootfs_tarball)" alpine
}

setup() {
  use_home "$BATS_TEST_TMPDIR"
  rm -d "$XDG_DATA_HOME"
  as_owner cp -a "$BATS_FILE_TMPDIR/template/data" "$XDG_DATA_HOME"
  cd "$BATS_TEST_TMPDIR" || return
}

# A file with a teardown of its own ends it with this one.
teardown() { e2e_teardown; }

e2e_teardown() {
  moss rm --force --all --time 0 >/dev/null
  cd /
  local left
  left=$(leftovers)
  as_owner rm -rf "$BATS_TEST_TMPDIR"
  mkdir "$BATS_TEST_TMPDIR" # bats expects it
  [[ -z $left ]] || fail "left behind:" "$left"
}

teardown_file() {
  as_owner rm -rf "$BATS_FILE_TMPDIR/template"
}

# Processes that still see this test's folders, mounts below them, and state of containers.
leftovers() {
  local pid
  for pid in /proc/[0-9]*; do
    [[ $pid == "/proc/$$" || $pid == "/proc/$BASHPID" ]] && continue
    grep -qsF "$BATS_TEST_TMPDIR" "$pid/mountinfo" 2>/dev/null && printf 'process %s: %s\n' "${pid#/proc/}" "$(tr '\0' ' ' <"$pid/cmdline")"
  done
  grep -F "$BATS_TEST_TMPDIR" /proc/self/mounts
  [[ ! -d $XDG_RUNTIME_DIR/moss ]] || find "$XDG_RUNTIME_DIR/moss" -mindepth 2
  return 0
}

# --- what a test says ---

fail() {
  printf '%s\n' "$@" >&2
  return 1
}

# After `run`: the exit status was $1.
assert_status() {
  # shellcheck disable=SC2154 # bats sets status and output
  ((status == $1)) || fail "expected exit status $1, got $status; output:" "$output"
}

assert_success() { assert_status 0; }

# After `run`: the whole output was $1.
assert_output() {
  [[ $output == "$1" ]] || fail "expected output:" "$1" "got:" "$output"
}

# After `run`: the output has $1 somewhere.
assert_has() {
  [[ $output == *"$1"* ]] || fail "expected in the output:" "$1" "got:" "$output"
}

refute_has() {
  [[ $output != *"$1"* ]] || fail "not expected in the output:" "$1" "got:" "$output"
}

# Waits up to $1 seconds for a command to succeed: wait_for 5 test -e file
wait_for() {
  local end=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || fail "timed out: $*" || return
    sleep 0.05
  done
}
