# speed: slow
# Power that goes at any moment of pull, load, commit and rmi. What each changes is recorded, and what a disk may have of it
# afterwards is made from the record: all that was synced, and any of the rest (replay.py). Then images are there and whole
# or not there, no damage is found, and nothing that was lost is trusted by the next command.
#
# By default eight states of each command; with MOSS_TEST_ALL=1 all, a hundred or two of each.

load helpers
load registry
load sweep

setup_file() {
  command -v python3 >/dev/null || skip "python3 is not installed"
  use_home "$BATS_FILE_TMPDIR/template"
  cd "$BATS_FILE_TMPDIR" || return
  make_small_images
  moss load -q -i other
  # Something that can be run, and a container of it that changed something.
  load_runnable etc
  moss run --name c --network none run /bin/busybox sh -c '/bin/busybox echo new >/etc/new; /bin/busybox rm -r /lib /run 2>/dev/null; true'
  wait_for 60 is_synced
}

# cut_everywhere NAME AGAIN -- ARG...: power goes while "moss ARG..." works, which is about image NAME. AGAIN is what is done
# next, and must work.
cut_everywhere() {
  local name=$1 again=$2 state count=0 there=0 gone=0 most=8
  shift 3
  [[ -z ${MOSS_TEST_ALL-} ]] || most=0
  fresh_store
  before
  wait_for 20 is_synced
  as_owner cp -a "$XDG_DATA_HOME" kept
  "$interrupt" record record -- "$MOSS" "$@" >out 2>&1 || fail "$(<out)"
  as_owner python3 "$BATS_TEST_DIRNAME/replay.py" list record "$XDG_DATA_HOME" kept "$most" >states
  while read -r state; do
    count=$((count + 1))
    as_owner rm -rf "$XDG_DATA_HOME"
    as_owner python3 "$BATS_TEST_DIRNAME/replay.py" build record "$XDG_DATA_HOME" kept "$state" "$XDG_DATA_HOME"
    run moss system check --quick=false
    ((status == 0)) || fail "state $state: damage:" "$output"
    run moss images --format '{{.Repository}}'
    assert_success
    [[ $output == *localhost/two* ]] || fail "state $state: another image is lost"
    if [[ $output == *"$name"* ]]; then there=$((there + 1)); else gone=$((gone + 1)); fi
    eval "$again" >out 2>&1 || fail "state $state: the next command fails: $(<out)"
    wait_for 20 is_synced
    run moss system check --quick=false
    [[ $status == 0 && -z $output ]] || fail "state $state: after the next command:" "$output"
  done <states
  ((count > 6 && gone > 0)) || fail "$count states, in $there of them the image is there"
}

@test "a power cut at any moment of load leaves the image whole or absent" {
  cut_everywhere localhost/one 'moss load -q -i "$BATS_FILE_TMPDIR/pair"' -- load -q -i "$BATS_FILE_TMPDIR/pair"
}

@test "…also where it unpacks a layer that another image has, for other ids" {
  before() {
    local folder
    # As though it had been unpacked before /etc/subuid was changed.
    for folder in "$XDG_DATA_HOME"/moss/layers/*.*[^e]; do
      [[ ! -d $folder ]] || mv "$folder" "${folder%.*}.0123456789abcdef"
    done
  }
  cut_everywhere localhost/one 'moss load -q -i "$BATS_FILE_TMPDIR/pair"' -- load -q -i "$BATS_FILE_TMPDIR/pair"
}

@test "a power cut at any moment of pull leaves the image whole or absent" {
  need_registry
  start_registry
  sk copy -q --dest-compress --dest-tls-verify=false "oci:$BATS_FILE_TMPDIR/pair:localhost/one:latest" "docker://$registry/small:1"
  cut_everywhere "$registry/small" 'moss pull -q "$registry/small:1"' -- pull -q "$registry/small:1"
}

@test "a power cut at any moment of commit leaves the image whole or absent" {
  cut_everywhere localhost/made 'moss commit -q c made' -- commit -q c made
}

@test "a power cut at any moment of rmi leaves the image whole or absent, and the others whole" {
  before() { moss load -q -i "$BATS_FILE_TMPDIR/pair" >/dev/null; }
  cut_everywhere localhost/one 'moss load -q -i "$BATS_FILE_TMPDIR/next"' -- rmi one
}
