# shellcheck shell=bash
# Killing moss, and failing it, at each of its system calls that change something: `load sweep`, after helpers.
#
# A process that dies between two system calls leaves what it would have left before the second, and only those that change
# something make a difference: files made, written, renamed, removed, synced; locks; children. So that is where moss is
# stepped in on, in its main process, its threads, the process that unpacks and those that this one starts (interrupt.cc).
# By default at every sixth of them; with MOSS_TEST_ALL=1 at all.
#
# Each time the store is a copy of the one in $BATS_FILE_TMPDIR/template, and what `before` does is done in it.

every=6 few=2
[[ -z ${MOSS_TEST_ALL-} ]] || every=1 few=10
interrupt=${MOSS%/*}/interrupt
before() { :; }

# Small images as layouts: pair (localhost/one) shares a layer with other (localhost/two); next (localhost/next) has its own.
make_small_images() {
  local name
  for name in base one two next; do
    mkdir -p tree/$name && echo "$name" >tree/$name/file
    tar -C tree --owner=3 --group=4 -cf $name.tar $name
  done
  make_layout pair '{"Cmd":["one"]}' base.tar one.tar
  make_layout other '{"Cmd":["two"]}' base.tar two.tar
  make_layout next '{"Cmd":["next"]}' next.tar
  sed -i 's|ref.name":"test"|ref.name":"localhost/one:latest"|' pair/index.json
  sed -i 's|ref.name":"test"|ref.name":"localhost/two:latest"|' other/index.json
  sed -i 's|ref.name":"test"|ref.name":"localhost/next:latest"|' next/index.json
}

# An image localhost/run that can be run: busybox and the folders $@.
load_runnable() {
  mkdir run
  tar -xzf "$(rootfs_tarball)" -C run --no-same-owner --wildcards './bin/busybox' './lib/ld-musl*' 2>/dev/null || true
  (cd run && mkdir -p . "$@")
  tar -C run --owner=0 --group=0 -cf run.tar .
  make_layout run.layout '{}' run.tar
  sed -i 's|ref.name":"test"|ref.name":"localhost/run:latest"|' run.layout/index.json
  moss load -q -i run.layout
}

# Each test works in a home of its own.
setup() {
  use_home "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR" || return
}

fresh_store() {
  as_owner rm -rf "$XDG_DATA_HOME"
  as_owner cp -a "$BATS_FILE_TMPDIR/template/data" "$XDG_DATA_HOME"
}

# calls_of FILE ARG...: where "moss ARG..." can be stepped in on, a line each: ROLE CALL NUMBER.
calls_of() {
  local file=$1
  shift
  fresh_store
  before
  "$interrupt" list all_calls -- "$MOSS" "$@" >said 2>&1 || fail "nothing to interrupt: $(<said)"
  awk -v step="$every" 'NR % step == 1 % step' all_calls >"$file"
}

# interrupted HOW ROLE CALL NUMBER [ERRNO] -- ARG...: sets `status`; what is printed is in the file said. A command that hangs
# fails the test.
interrupted() {
  local how=()
  while [[ $1 != -- ]]; do
    how+=("$1")
    shift
  done
  shift
  where="${how[*]}"
  status=0
  timeout -k 1 30 "$interrupt" "${how[@]}" -- "$MOSS" "$@" >said 2>&1 || status=$?
  ((status != 124)) || fail "$where: hangs"
  ((status < 126 || status == 137)) || fail "$where: status $status: $(<said)"
}

# Kills "moss $*" at each change.
kill_everywhere() {
  local role call number points=0
  calls_of calls "$@"
  while read -r role call number; do
    fresh_store
    before
    interrupted kill "$role" "$call" "$number" -- "$@"
    if [[ $role == main || $role == thread ]]; then
      points=$((points + (status == 137)))
    else
      # Who is left says what happened.
      ((status == 0 || $(wc -l <said) == 1)) || fail "$where: status $status: $(<said)"
    fi
    run moss system check
    ((status == 0)) || fail "$where: damage:" "$output"
    # Images are whole, or are not there: what is listed was checked against its blobs.
    [[ $(moss images -q | wc -l) -ge ${least-0} ]] || fail "$where: lost an image"
    reclaimed "$where"
  done <calls
  ((points > few)) || fail "only $points calls to kill it at: $(<calls)"
}

# The next command that adds an image works, and takes away what was left.
reclaimed() {
  moss load -q -i "$BATS_FILE_TMPDIR/next" >/dev/null || fail "$1: the next command fails"
  wait_for 20 is_synced
  wait_for 5 nothing_is_left || fail "$1: the next command leaves:" "$output"
}
nothing_is_left() {
  run moss system check
  [[ -z $output ]] && ! compgen -G "$XDG_DATA_HOME/moss/staging/*" && ! compgen -G "$XDG_DATA_HOME/moss/locks/*"
}

# Fails "moss $*" at each change, with a full disk, a quota that is used up and a broken disk: each call with one of these
# in turn, all with all where MOSS_TEST_ALL=1. It is told in one line, and the next command works without a repair.
fail_everywhere() {
  local role call number errors=("28 No space left" "122 Disk quota exceeded" "5 Input/output error") error point=0 failed=0
  calls_of calls "$@"
  while read -r role call number; do
    [[ $call =~ ^(openat|write|pwrite64|ftruncate|mkdir|mkdirat|mknodat|link|linkat|symlinkat|rename|renameat|fsync|syncfs)$ ]] || continue
    point=$((point + 1))
    for error in "${errors[@]}"; do
      ((every == 1)) || [[ $error == "${errors[point % 3]}" ]] || continue
      fresh_store
      before
      interrupted fail "$role" "$call" "$number" "${error%% *}" -- "$@"
      if ((status != 0)); then
        failed=$((failed + 1))
        [[ $(wc -l <said) == 1 && $(<said) == *"${error#* }"* ]] || fail "$where: $(<said)"
        run moss images -q
        # shellcheck disable=SC2154 # bats sets it
        # Where only the last sync failed, it is there, and is known not to be on the disk yet.
        ((${#lines[@]} == ${listed-1})) || [[ -n $(ls "$XDG_DATA_HOME/moss/unsynced") ]] || fail "$where: a half image: $output"
      fi
      run moss system check
      ((status == 0)) || fail "$where: damage:" "$output"
      reclaimed "$where"
    done
  done <calls
  ((failed > few)) || fail "only $failed calls failed: $(<calls)"
}
