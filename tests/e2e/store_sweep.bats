# speed: slow
# Killed at any moment: load, import, rmi, check --repair, prune. Afterwards nothing is damaged, every image is whole or
# absent, and the next command that adds an image takes away what is left.
#
# A process that dies between two system calls leaves what it would have left before the second, and only those that change
# something make a difference. So each is killed at those: files made, written, renamed, removed, synced; locks; children.

load helpers
check_store=full

setup_file() {
  use_home "$BATS_FILE_TMPDIR/template"
  # Two small images that share a layer, and a third to load afterwards.
  cd "$BATS_FILE_TMPDIR"
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
  moss load -q -i other
  wait_for 60 is_synced
}

setup() {
  command -v strace >/dev/null || skip "strace is not installed"
  use_home "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR" || return
}

fresh_store() {
  as_owner rm -rf "$XDG_DATA_HOME"
  as_owner cp -a "$BATS_FILE_TMPDIR/template/data" "$XDG_DATA_HOME"
}

# The calls of "moss $*" that change something, one a line as strace counts them: "renameat 2" is the second renameat.
changes_of() {
  strace -qq -o trace "$MOSS" "$@" >/dev/null 2>&1 || true
  awk '
    match($0, /^[a-z0-9_]+\(/) {
      name = substr($0, 1, RLENGTH - 1); ++count[name]
      if (name == "openat" && !/O_CREAT/) next
      if (name == "write" && /^write\([012],/) next
      if (name ~ /^(openat|write|pwrite64|rename.*|mkdir.*|unlink.*|rmdir|fsync|syncfs|ftruncate|fchown|flock|clone.*|fork|vfork|sendmsg|link.*|symlink.*)$/)
        print name, count[name]
    }' trace
}


# Kills "moss $*" at each change, with a fresh store each time, `before` done in it.
kill_everywhere() {
  local name number points=0 status
  fresh_store
  before
  changes_of "$@" >calls
  while read -r name number; do
    fresh_store
    before
    status=0
    timeout -k 1 20 strace -qq -o /dev/null -e "inject=$name:signal=KILL:when=$number" "$MOSS" "$@" >out 2>&1 || status=$?
    ((status != 124)) || fail "killed at $name $number: hangs"
    points=$((points + (status == 137)))
    run moss system check
    ((status == 0)) || fail "killed at $name $number: damage:" "$output"
    # Images are whole, or are not there: what is listed was checked against its blobs.
    [[ $(moss images -q | wc -l) -ge ${least-0} ]] || fail "killed at $name $number: lost an image"
    moss load -q -i "$BATS_FILE_TMPDIR/next" >/dev/null || fail "killed at $name $number: the next command fails"
    wait_for 20 is_synced
    wait_for 5 nothing_is_left || fail "killed at $name $number: the next command leaves:" "$output"
  done <calls
  ((points > 10)) || fail "only $points calls to kill it at: $(<calls)"
}
nothing_is_left() {
  run moss system check
  [[ -z $output && -z $(ls "$XDG_DATA_HOME/moss/staging" "$XDG_DATA_HOME/moss/locks" | grep -v :) ]]
}

@test "load, killed anywhere, leaves its image whole or absent" {
  before() { :; }
  least=1 kill_everywhere load -q -i "$BATS_FILE_TMPDIR/pair"
}

@test "import, killed anywhere, leaves its image whole or absent" {
  before() { :; }
  least=1 kill_everywhere import -q "$BATS_FILE_TMPDIR/one.tar" imported
}

@test "rmi, killed anywhere, leaves the other image whole" {
  before() { moss load -q -i "$BATS_FILE_TMPDIR/pair" >/dev/null && wait_for 20 is_synced; }
  least=1 kill_everywhere rmi one
}

@test "prune, killed anywhere, leaves images whole or absent" {
  before() { moss load -q -i "$BATS_FILE_TMPDIR/pair" >/dev/null && wait_for 20 is_synced; }
  kill_everywhere image prune --all --force
}

@test "a repair, killed anywhere, can be done again" {
  before() { rm "$XDG_DATA_HOME"/moss/layers/*.size; }
  kill_repair
}

# After a repair that was killed damage may be there still; one more repairs it.
kill_repair() {
  local name number status points=0
  fresh_store
  before
  changes_of system check --repair >calls
  while read -r name number; do
    fresh_store
    before
    status=0
    timeout -k 1 20 strace -qq -o /dev/null -e "inject=$name:signal=KILL:when=$number" "$MOSS" system check --repair >out 2>&1 || status=$?
    ((status != 124)) || fail "killed at $name $number: hangs"
    points=$((points + (status == 137)))
    run moss system check --repair
    assert_success
    run moss system check
    assert_output ""
    [[ $(moss images -q | wc -l) == 1 ]] || fail "killed at $name $number: lost an image"
  done <calls
  ((points > 10)) || fail "only $points calls to kill it at"
}

@test "whichever call of load fails for want of space, it is told and nothing is left" {
  local name number status failed=0
  fresh_store
  changes_of load -q -i "$BATS_FILE_TMPDIR/pair" >calls
  while read -r name number; do
    [[ $name =~ ^(openat|write|pwrite64|mkdir|mkdirat|rename|renameat|fsync|syncfs)$ ]] || continue
    fresh_store
    status=0
    timeout -k 1 20 strace -qq -o /dev/null -e "inject=$name:error=ENOSPC:when=$number" "$MOSS" load -q -i "$BATS_FILE_TMPDIR/pair" >out 2>&1 || status=$?
    ((status != 124)) || fail "$name $number fails: hangs"
    ((status < 126)) || fail "$name $number fails: status $status: $(<out)"
    if ((status != 0)); then
      failed=$((failed + 1))
      [[ $(wc -l <out) == 1 && $(<out) == *"o space left"* ]] || fail "$name $number fails: $(<out)"
      run moss images -q
      # Where only the last sync failed, it is there, and is known not to be on the disk yet.
      ((${#lines[@]} == 1)) || [[ -n $(ls "$XDG_DATA_HOME/moss/unsynced") ]] || fail "$name $number fails: a half image: $output"
    fi
    run moss system check --quick
    assert_success
    moss load -q -i "$BATS_FILE_TMPDIR/pair" >/dev/null || fail "$name $number fails: and so does the next command"
    wait_for 20 is_synced
    wait_for 5 nothing_is_left || fail "$name $number fails: left:" "$output"
  done <calls
  ((failed > 10)) || fail "only $failed calls failed"
}

# What a power cut may do to the store as it lies there: nothing that was not synced is on the disk. Each file that the
# template has not is filled with zeros, unless its image is named and no note says that it is not synced yet.
cut_power() {
  local note
  for note in "$XDG_DATA_HOME"/moss/unsynced/*; do
    mv "$note" "${note%/*}/11111111-2222-3333-4444-555555555555.${note#*.}" 2>/dev/null || true # synced by now, or there was none
  done
  if [[ -e $XDG_DATA_HOME/moss/unsynced ]] || ! grep -q localhost/one "$XDG_DATA_HOME/moss/index.json"; then
    as_owner bash -c 'cd "$1/moss" && comm -13 <(cd "$2/moss" && find blobs layers -type f | sort) <(find blobs layers -type f | sort) |
      while read -r file; do head -c "$(stat -c %s "$file")" /dev/zero >"$file"; done' bash "$XDG_DATA_HOME" "$BATS_FILE_TMPDIR/template/data"
  fi
}

@test "a power cut at any moment of load leaves images whole or absent, and nothing lost is trusted" {
  local name number points=0 cuts=0 status
  fresh_store
  changes_of load -q -i "$BATS_FILE_TMPDIR/pair" >calls
  while read -r name number; do
    fresh_store
    status=0
    timeout -k 1 20 strace -qq -o /dev/null -e "inject=$name:signal=KILL:when=$number" "$MOSS" load -q -i "$BATS_FILE_TMPDIR/pair" >out 2>&1 || status=$?
    points=$((points + (status == 137)))
    cut_power
    [[ ! -e $XDG_DATA_HOME/moss/unsynced ]] || cuts=$((cuts + 1))
    run moss images --quiet
    assert_success
    if [[ -e $XDG_DATA_HOME/moss/unsynced ]]; then
      ((${#lines[@]} == 1)) || fail "cut at $name $number: an image that may be lost is shown: $output"
    fi
    moss load -q -i "$BATS_FILE_TMPDIR/pair" >/dev/null || fail "cut at $name $number: it cannot be loaded again"
    wait_for 20 is_synced
    run moss system check
    [[ $status == 0 && -z $output ]] || fail "cut at $name $number: what was lost is trusted:" "$output"
    run moss images --quiet
    ((${#lines[@]} == 2)) || fail "cut at $name $number: images: $output"
  done <calls
  ((points > 10 && cuts > 3)) || fail "only $points calls, $cuts of them with a note: $(<calls)"
}
