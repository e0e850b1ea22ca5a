# speed: slow
# Killed at any moment: load, import, rmi, check --repair, prune. Afterwards nothing is damaged, every image is whole or
# absent, and the next command that adds an image takes away what is left.

load helpers
load sweep
check_store=full

setup_file() {
  use_home "$BATS_FILE_TMPDIR/template"
  cd "$BATS_FILE_TMPDIR" || return
  make_small_images
  moss load -q -i other
  wait_for 60 is_synced
}

@test "load, killed anywhere, leaves its image whole or absent" {
  least=1 kill_everywhere load -q -i "$BATS_FILE_TMPDIR/pair"
}

@test "import, killed anywhere, leaves its image whole or absent" {
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

# After a repair that was killed damage may be there still; one more repairs it.
@test "a repair, killed anywhere, can be done again" {
  local role call number points=0
  before() { rm "$XDG_DATA_HOME"/moss/layers/*.size; }
  calls_of calls system check --repair
  while read -r role call number; do
    fresh_store
    before
    interrupted kill "$role" "$call" "$number" -- system check --repair
    points=$((points + (status == 137)))
    run moss system check --repair
    assert_success
    run moss system check
    assert_output ""
    [[ $(moss images -q | wc -l) == 1 ]] || fail "$where: lost an image"
  done <calls
  ((points > few)) || fail "only $points calls to kill it at"
}

@test "whichever call of load a disk fails, it is told and nothing is left" {
  fail_everywhere load -q -i "$BATS_FILE_TMPDIR/pair"
}
