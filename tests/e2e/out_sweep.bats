# speed: slow
# What goes out of the store, killed at any moment: a file or folder is not there or whole, what stood in its place stays
# until then, and the next who writes it takes away what is left. And commit, which goes into the store.

load helpers
load registry
load sweep
check_store=full

setup_file() {
  use_home "$BATS_FILE_TMPDIR/template"
  cd "$BATS_FILE_TMPDIR" || return
  make_small_images
  moss load -q -i other
  moss load -q -i pair
  load_runnable
  moss run --name c --network none run /bin/busybox sh -c '/bin/busybox mkdir /new; /bin/busybox head -c 300000 /bin/busybox >/new/file'
  wait_for 60 is_synced
}

@test "commit, killed anywhere, leaves its image whole or absent" {
  least=3 kill_everywhere commit -q c made
}

@test "commit, whichever of its calls a disk fails, tells it and leaves nothing" {
  listed=3 fail_everywhere commit -q c made
}

# killed_writing PATH ARG...: "moss ARG..." writes PATH below the folder out; there is nothing there, or what was there before.
killed_writing() {
  local path=$1 role call number points=0 old
  shift
  for old in no yes; do
    fresh_store
    rm -rf out expected
    mkdir out
    moss "$@" >/dev/null
    mv out expected
    mkdir out
    "$interrupt" list all_calls -- "$MOSS" "$@" >/dev/null
    awk -v step=$((every / 3)) 'step < 2 || NR % step == 1' all_calls >calls
    while read -r role call number; do
      rm -rf out
      mkdir out
      [[ $old == no ]] || cp -a "expected/$path" out
      interrupted kill "$role" "$call" "$number" -- "$@"
      points=$((points + (status == 137)))
      if [[ -e out/$path ]]; then
        diff -r "expected/$path" "out/$path" || fail "$where: $path is not whole"
      else
        [[ $old == no ]] || fail "$where: what was there is lost"
      fi
      run moss system check
      ((status == 0)) || fail "$where: damage:" "$output"
      moss "$@" >/dev/null || fail "$where: the next one fails"
      diff -r expected out || fail "$where: the next one leaves something"
    done <calls
  done
  ((points > few)) || fail "only $points calls to kill it at: $(<calls)"
  # A command that does not add to the store leaves what others left in it.
  reclaimed "the last"
}

@test "export, killed anywhere, leaves its file whole or absent" {
  killed_writing c.tar export -o out/c.tar c
}

@test "save, killed anywhere, leaves its archive whole or absent" {
  killed_writing one.tar save -q -o out/one.tar one
}

@test "save into a folder, killed anywhere, leaves it whole or absent" {
  killed_writing one save -q --format docker-dir -o out/one one
}

@test "push into an image layout, killed anywhere, leaves it readable" {
  local role call number points=0
  fresh_store
  moss push -q two oci:before:two >/dev/null
  cp -a before out
  "$interrupt" list all_calls -- "$MOSS" push -q one oci:out:one >/dev/null
  mv out expected
  awk -v step=$((every / 3)) 'step < 2 || NR % step == 1' all_calls >calls
  while read -r role call number; do
    rm -rf out
    cp -a before out
    interrupted kill "$role" "$call" "$number" -- push -q one oci:out:one
    points=$((points + (status == 137)))
    # What is named is there, whole.
    [[ $(jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' out/index.json) == *two* ]] || fail "$where: the other image is lost"
    for name in $(jq -r '.manifests[].annotations["org.opencontainers.image.ref.name"]' out/index.json); do
      moss load -q -i "oci:out:$name" >/dev/null || moss pull -q "oci:out:$name" >/dev/null || fail "$where: $name cannot be read"
    done
    moss push -q one oci:out:one >/dev/null || fail "$where: the next one fails"
    diff -r expected out || fail "$where: the next one leaves something"
  done <calls
  ((points > few)) || fail "only $points calls to kill it at: $(<calls)"
}

@test "push to a registry, killed anywhere, leaves an image that can be pulled, or none" {
  local role call number points=0
  need_registry
  start_registry
  fresh_store
  "$interrupt" list all_calls -- "$MOSS" push -q --compression-format zstd one "$registry/list:1" >/dev/null
  awk -v step=$((every / 3)) 'step < 2 || NR % step == 1' all_calls >calls
  while read -r role call number; do
    fresh_store
    interrupted kill "$role" "$call" "$number" -- push -q --compression-format zstd one "$registry/k$number:1"
    points=$((points + (status == 137)))
    run moss pull -q "$registry/k$number:1"
    ((status == 0)) || [[ $output == *"anifest"* ]] || fail "$where: $output"
    reclaimed "$where"
    moss push -q --compression-format zstd one "$registry/k$number:1" || fail "$where: the next push fails"
  done <calls
  ((points > few)) || fail "only $points calls to kill it at: $(<calls)"
}
