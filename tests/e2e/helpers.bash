# shellcheck shell=bash
# What every end-to-end test starts from: `load helpers`.
#
# A test has a home, a store and a runtime folder of its own, all below $BATS_TEST_TMPDIR; the store is a copy of one
# that holds the image `alpine` alone. $MOSS is the binary; `moss ARG...` runs it. After each test every container is
# removed, and a process, mount or state folder that is left then fails the test; so does a store that
# `moss system check` has something to say of. Where a file sets check_store=full, every blob is hashed and every layer
# unpacked again.
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

# A home, a store and a runtime folder below $1.
use_home() {
  export HOME=$1/home XDG_DATA_HOME=$1/data XDG_CONFIG_HOME=$1/config XDG_CACHE_HOME=$1/cache XDG_RUNTIME_DIR=$1/run
  mkdir -p "$1" && mkdir -m 700 "$HOME" "$XDG_DATA_HOME" "$XDG_CONFIG_HOME" "$XDG_CACHE_HOME" "$XDG_RUNTIME_DIR"
}

# The root filesystem all images of the tests are made from: Alpine's, or one assembled from busybox.
rootfs_tarball() {
  (
    # shellcheck source=scripts/lib.sh
    source "$repo/scripts/lib.sh"
    rootfs_tarball "$BATS_FILE_TMPDIR"
  )
}

setup_file() {
  use_home "$BATS_FILE_TMPDIR/template"
  moss import --quiet "$(rootfs_tarball)" alpine
  # Copied by every test, so nobody may be at work in it any more.
  wait_for 60 is_synced
}
is_synced() { [[ ! -e $XDG_DATA_HOME/moss/unsynced ]]; }
# The files of a removed image go in the background, after the command.
is_removed() { ! compgen -G "$XDG_DATA_HOME/moss/staging/removing-*" >/dev/null; }

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
  wait_for 1 is_removed 2>/dev/null || true # a test may have killed who does it
  local left
  left=$(leftovers; store_faults)
  as_owner rm -rf "$BATS_TEST_TMPDIR"
  mkdir "$BATS_TEST_TMPDIR" # bats expects it
  [[ -z $left ]] || fail "left behind:" "$left"
}

teardown_file() {
  as_owner rm -rf "$BATS_FILE_TMPDIR/template"
}

# What is wrong with the test's store; nothing where all is well or there is none.
store_faults() {
  local quick=--quick
  [[ ${check_store-} != full ]] || quick=--quick=false
  [[ ! -e $XDG_DATA_HOME/moss/index.json ]] || moss system check "$quick" 2>&1 || true
}

# Processes that still see this test's folders, mounts below them, and state of containers.
leftovers() {
  local pid
  while read -r pid; do
    pid=${pid%/mountinfo}
    [[ $pid == "/proc/$$" || $pid == "/proc/$BASHPID" || ! -e $pid ]] && continue
    printf 'process %s: %s\n' "${pid#/proc/}" "$(tr '\0' ' ' <"$pid/cmdline")"
  done < <(grep -lsF "$BATS_TEST_TMPDIR" /proc/[0-9]*/mountinfo)
  grep -F "$BATS_TEST_TMPDIR" /proc/self/mounts
  [[ ! -d $XDG_RUNTIME_DIR/moss ]] || find "$XDG_RUNTIME_DIR/moss" -mindepth 2 ! -path '*/seccomp/*.bpf' # compiled profiles are kept for the next run
  return 0
}

# --- images and hosts to test with ---

sha256_of() { sha256sum "$1" | cut -d' ' -f1; }

# Puts file $2 among the blobs of layout $1 and prints its descriptor, with media type $3.
add_blob() {
  local digest
  digest=$(sha256_of "$2")
  cp "$2" "$1/blobs/sha256/$digest"
  printf '{"mediaType":"%s","digest":"sha256:%s","size":%d}' "$3" "$digest" "$(stat -c %s "$2")"
}

# An OCI layout in folder $1: an image "test" with the config's "config" member $2 and the layers (plain tars) $3...
make_layout() {
  local layout=$1 config=$2 layer diff_ids='' layers=''
  shift 2
  mkdir -p "$layout/blobs/sha256"
  printf '{"imageLayoutVersion":"1.0.0"}' >"$layout/oci-layout"
  for layer; do
    diff_ids+=${diff_ids:+,}"\"sha256:$(sha256_of "$layer")\""
    layers+=${layers:+,}$(add_blob "$layout" "$layer" application/vnd.oci.image.layer.v1.tar)
  done
  printf '{"architecture":"%s","os":"linux","config":%s,"rootfs":{"type":"layers","diff_ids":[%s]}}' \
    "$(uname -m | sed 's/x86_64/amd64/; s/aarch64/arm64/')" "$config" "$diff_ids" >"$layout.part"
  config=$(add_blob "$layout" "$layout.part" application/vnd.oci.image.config.v1+json)
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
    "$config" "$layers" >"$layout.part"
  printf '{"schemaVersion":2,"manifests":[%s]}' "$(add_blob "$layout" "$layout.part" \
    application/vnd.oci.image.manifest.v1+json | sed 's/}$/,"annotations":{"org.opencontainers.image.ref.name":"test"}}/')" \
    >"$layout/index.json"
  rm "$layout.part"
}

# Alpine once more, with the config's "config" member $2 and more layers $3..., as image $1.
make_image() {
  local name=$1 config=$2
  shift 2
  zcat "$(rootfs_tarball)" >alpine.tar
  make_layout "$name.layout" "$config" alpine.tar "$@"
  sed -i "s|ref.name\":\"test\"|ref.name\":\"localhost/$name:latest\"|" "$name.layout/index.json"
  moss load --quiet --input "$name.layout" >/dev/null
}

# Alpine and a file with the word $2, as an image $1 that says it is for architecture $2.
image_for() {
  mkdir -p "$1.files" && echo "$2" >"$1.files/arch" && tar -cf "$1.tar" -C "$1.files" arch
  zcat "$(rootfs_tarball)" >alpine.tar
  rm -rf "$1.layout"
  make_layout "$1.layout" '{"Cmd":["cat","/arch"]}' alpine.tar "$1.tar"
  local config manifest
  manifest=$1.layout/blobs/sha256/$(jq -r '.manifests[0].digest[7:]' "$1.layout/index.json")
  jq -c --arg a "$2" '.architecture = $a' "$1.layout/blobs/sha256/$(jq -r '.config.digest[7:]' "$manifest")" >"$1.config"
  config=$(add_blob "$1.layout" "$1.config" application/vnd.oci.image.config.v1+json)
  jq -c --argjson c "$config" '.config = $c' "$manifest" >"$1.manifest"
  jq -nc --argjson m "$(add_blob "$1.layout" "$1.manifest" application/vnd.oci.image.manifest.v1+json)" --arg n "localhost/$1:latest" \
    '{schemaVersion:2,manifests:[$m + {annotations:{"org.opencontainers.image.ref.name":$n}}]}' >"$1.layout/index.json"
  moss load -q -i "$1.layout" --platform "linux/$2" >/dev/null
}

# Alpine's root filesystem in folder $1, owned by the caller.
make_rootfs() {
  mkdir -p "$1"
  tar -xzf "$(rootfs_tarball)" -C "$1" --no-same-owner --exclude='./dev/*'
}

# A folder that no container may change, and what is in it with all that can be changed.
make_victim() {
  mkdir -p "$1/dir"
  echo precious >"$1/file"
  echo precious >"$1/dir/file"
  chmod 640 "$1/file"
}
picture_of() { (cd "$1" && find . -printf '%p %y %m %U %G %s %T@ %l\n' | sort && find . -type f -exec sha256sum {} +); }

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

# Waits up to $1 seconds for a command to succeed, or six times as long where the machine is busy: wait_for 5 test -e file
wait_for() {
  local end=$((SECONDS + 6 * $1))
  shift
  until "$@"; do
    ((SECONDS < end)) || fail "timed out: $*" || return
    sleep 0.05
  done
}

# OPTION... -- WORD... as the arrays `options` and `words`.
split_at_dashes() {
  options=()
  while [[ $1 != -- ]]; do
    options+=("$1")
    shift
  done
  words=("${@:2}")
}

# The words run in a container with the image alpine and --network none: in_alpine OPTION... -- COMMAND...
in_alpine() {
  local options words
  split_at_dashes "$@"
  moss run --rm --network none "${options[@]}" alpine "${words[@]}"
}

# moss refuses: exit 125 and one line that has $1, nothing else: refuses TEXT ARG... (arguments of moss)
refuses() {
  local text=$1
  shift
  run moss "$@"
  assert_status 125
  # shellcheck disable=SC2154 # bats sets it
  ((${#lines[@]} == 1)) || fail "expected one line, got:" "$output"
  assert_has "$text"
}

# No container is known and nothing of one is left.
assert_no_containers() {
  run moss ps --all --quiet
  assert_success
  assert_output ""
}
