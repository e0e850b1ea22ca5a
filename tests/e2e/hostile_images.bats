# Images that mean harm, generated: hostile/README.md has the table of them and says what is asked of moss for each.
# speed: slow

load helpers

# A store of its own that is empty to begin with; and where something is wrong the cases say so themselves.
setup() {
  use_home "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR" || return
}
setup_file() { :; }
teardown_file() { :; }

give() { timeout 800 python3 "$BATS_TEST_DIRNAME/hostile/run.py" "$@"; }

@test "layers whose names lead elsewhere" { give paths; }
@test "layers that delete what is not theirs" { give whiteouts; }
@test "layers with strange files, attributes, sizes and ends" { give types; }
@test "layers that are compressed to do harm" { give compression; }
@test "manifests and lists that lie or never end" { give manifests; }
@test "archives that are none, or too much" { give archives; }
@test "configs that no container should start with" { give configs; }
