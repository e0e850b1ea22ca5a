#!/usr/bin/env bats
# The owner of a root swaps folders for links while `moss oci` works in it: whatever the container gets, nothing outside
# is touched. CVE-2021-30465, CVE-2024-45310, CVE-2025-31133, CVE-2025-52881, GHSA-3q8j-pf29-vwv8.
# $MOSS_RACE_TRIES is how often (300; 2000 take minutes).
# as: root user
# speed: slow

load oci_helpers

setup() {
  use_home "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR" || return
  tries=${MOSS_RACE_TRIES:-300}
  make_victim victim
  mkdir -p victim/masked victim/ro victim/wd
  echo precious | tee victim/masked/secret victim/wd/secret >victim/ro/secret
  before=$(picture_of victim)
  core_pattern=$(cat /proc/sys/kernel/core_pattern)
  cat >swap.c <<'C'
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <signal.h>
#include <stdlib.h>
#include <unistd.h>
// Swaps each two names, again and again, tens of times in a launch.
int main(int argc, char** argv) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;; usleep(rand() % 100)) for (int i = 1; i + 1 < argc; i += 2)
    if (renameat2(AT_FDCWD, argv[i], AT_FDCWD, argv[i + 1], RENAME_EXCHANGE) != 0) return perror(argv[i]), 1;
}
C
  cc -O1 -w -o swap swap.c
}

teardown() {
  [[ -z ${racer-} ]] || kill "$racer" || true
  oci_teardown
}

race() {
  ./swap "$@" 3>&- &
  racer=$!
}

# A container "c" that goes on while a folder in its root is swapped.
race_in_running() {
  bundle b sleep 1000
  mkdir -p b/rootfs/swap/wd
  ln -s "$PWD/victim" b/rootfs/swapped
  oci run -d -b b c </dev/null >/dev/null 2>&1
  race b/rootfs/swap b/rootfs/swapped
}

nothing_touched() {
  kill -0 "$racer" # it has been at work all the time
  [[ $(picture_of victim) == "$before" ]] || fail "the victim was changed"
  [[ $(cat /proc/sys/kernel/core_pattern) == "$core_pattern" ]] || fail "core_pattern was changed"
  [[ ! -e made && -z $(find . -maxdepth 1 -newer swap -name 'up*') ]]
}

# A bundle whose mounts, files, masks, devices and working folder all lie below /swap, which is the victim half the time.
racing_bundle() {
  EDIT='.mounts += [
      {destination: "/swap/dest/deep", type: "tmpfs", source: "tmpfs", options: ["nosuid"]},
      {destination: "/swap/file-to-make", type: "bind", source: "'"$PWD/swap.c"'", options: ["bind"]},
      {destination: "/swap/up", type: "tmpfs", source: "tmpfs", options: ["tmpcopyup"]},
      {destination: "/other", type: "bind", source: "'"$PWD/dev"'", options: ["rbind"]}]
    | .linux.maskedPaths += ["/swap/masked", "/swap/masked/secret", "/other/null", "/proc/keys"]
    | .linux.readonlyPaths += ["/swap/ro", "/swap/ro/secret", "/swap/wd"]
    | .linux.devices = [{type: "p", path: "/swap/made"}]
    | .process.cwd = "/swap/wd/new"' bundle b sh -c \
    'echo pwned >/swap/masked/secret; echo pwned >/other/null; echo pwned >/proc/keys; cat secret /swap/*/secret; :' 2>/dev/null
  mkdir -p b/rootfs/swap/{masked,ro,wd} b/rootfs/other dev
  touch b/rootfs/swap/masked/secret b/rootfs/swap/ro/secret dev/null
  chmod 777 dev/null
  ln -s "$PWD/victim" b/rootfs/swapped
  ln -s /proc/sys/kernel/core_pattern dev/swapped
}

@test "while run and create work" {
  local i ran=0 failed=0
  racing_bundle
  race b/rootfs/swap b/rootfs/swapped dev/null dev/swapped
  for ((i = 0; i < tries; i++)); do
    if ((i % 4)); then
      if oci run -b b c </dev/null >>output 2>/dev/null; then ran=$((ran + 1)); else failed=$((failed + 1)); fi
    else
      ! oci create -b b c </dev/null >/dev/null 2>&1 || oci start c >/dev/null 2>&1 || true
      oci delete --force c
    fi
  done
  nothing_touched
  run ! grep -q precious output
  # Both halves of the race were met.
  ((ran > 0 && failed > 0)) || fail "$ran ran and $failed failed of $tries"
}

@test "while exec changes its folder" {
  local i
  race_in_running
  for ((i = 0; i < tries / 4; i++)); do
    oci exec --cwd /swap/wd c sh -c 'cat secret ../../victim/file; echo x >new' >>output 2>/dev/null || true
  done
  nothing_touched
  run ! grep -q precious output
}

@test "while mounts are added and removed" {
  local i
  echo '[{"destination": "/swap/wd", "type": "tmpfs"}, {"destination": "/swap/made/new", "type": "tmpfs"},
    {"destination": "/swap/made/file", "type": "bind", "source": "'"$PWD/swap.c"'", "options": ["bind"]}]' >mounts.json
  race_in_running
  for ((i = 0; i < tries / 8; i++)); do
    oci mounts add c mounts.json 2>/dev/null || true
    oci mounts remove c mounts.json 2>/dev/null || true
  done
  nothing_touched
}
