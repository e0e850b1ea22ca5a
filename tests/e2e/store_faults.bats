# Files of the store that are damaged, a store that cannot be written to, and several moss at work on one image.

load helpers
load registry

setup() {
  use_home "$BATS_TEST_TMPDIR"
  rm -d "$XDG_DATA_HOME"
  as_owner cp -a "$BATS_FILE_TMPDIR/template/data" "$XDG_DATA_HOME"
  cd "$BATS_TEST_TMPDIR" || return
  store=$XDG_DATA_HOME/moss
}

# What may become of a file: damage HOW FILE.
damage() {
  case $1 in
    empty) : >"$2" ;;
    short) truncate -s $(($(stat -c %s "$2") / 2)) "$2" ;;
    flipped) printf '\\x%02x' "$(($(od -An -tu1 -j1 -N1 "$2") ^ 0x55))" | xargs -0 printf | dd of="$2" bs=1 seek=1 conv=notrunc status=none ;;
    foreign) sed -i 's/"schemaVersion":2/"schemaVersion":3/' "$2" ;;
  esac
}

# An image "other" beside alpine, of layers of its own.
add_other() {
  echo 1 >file && tar -cf other.tar file
  make_layout other '{"Cmd":["x"]}' other.tar
  sed -i 's|ref.name":"test"|ref.name":"localhost/other:latest"|' other/index.json
  moss load -q -i other >/dev/null
  wait_for 20 is_synced
}
blob_of() { echo "$store/blobs/sha256/$1"; }
manifest_of() { jq -r --arg n "$1" '.manifests[] | select(.annotations["org.opencontainers.image.ref.name"] == $n).digest[7:]' "$store/index.json"; }

# One line names the file; repair brings back what can be, and afterwards nothing is found.
repaired() {
  run moss system check --repair
  assert_success
  run moss system check
  assert_success
  assert_output ""
}

@test "a damaged index.json is told by its name, and repair finds the images again" {
  local how
  moss run --name c --network none alpine true
  for how in empty short flipped foreign; do
    damage $how "$store/index.json"
    refuses "$store/index.json: " images
    refuses "$store/index.json: " rmi alpine
    refuses "$store/index.json: " run --rm --network none alpine true
    # Containers have nothing to do with it.
    run moss ps -a --format '{{.Names}}'
    assert_output c
    run moss system check --quick
    assert_status 125
    assert_has "$store/index.json: "
    repaired
    run moss images --quiet
    ((${#lines[@]} == 1)) || fail "$how: $output"
    moss tag "${lines[0]}" alpine
  done
}

@test "a damaged manifest or config is told by its name, other images are as they were, and repair drops the image" {
  local how what digest name
  for what in manifest config; do
    for how in empty short flipped; do
      add_other
      digest=$(manifest_of localhost/other:latest)
      [[ $what == manifest ]] || digest=$(jq -r '.config.digest[7:]' "$(blob_of "$digest")")
      damage $how "$(blob_of "$digest")"
      refuses "$(blob_of "$digest"): " run --rm --network none other true
      run --separate-stderr moss images --format '{{.Repository}}'
      assert_success
      assert_output localhost/alpine
      # shellcheck disable=SC2154 # bats sets it
      [[ $stderr == *"$(blob_of "$digest"): "* ]] || fail "$how $what: $stderr"
      in_alpine -- true
      run moss system check --quick
      assert_status 125
      assert_has "$digest"
      repaired
      run moss images --format '{{.Repository}}'
      assert_output localhost/alpine
    done
  done
}

@test "a damaged size file changes what images tells, and repair writes it again" {
  local how size
  size=$(echo "$store"/layers/*.size)
  cp "$size" kept
  for how in empty foreign; do
    echo "1 kg" >"$size"
    [[ $how == foreign ]] || damage empty "$size"
    moss images >/dev/null
    in_alpine -- true
    run moss system check --quick
    assert_status 125
    assert_has "the file with its size is missing or damaged"
    repaired
    diff "$size" kept
  done
}

@test "oci-layout: damage is repaired, and a version from the future is left alone" {
  local how
  for how in empty short; do
    damage $how "$store/oci-layout"
    in_alpine -- true
    run moss system check --quick
    assert_status 125
    assert_has "oci-layout is missing or damaged"
    repaired
  done
  echo '{"imageLayoutVersion":"2.0.0"}' >"$store/oci-layout"
  picture_of "$store/blobs" >before
  tar -cf empty.tar -T /dev/null
  refuses "$store/oci-layout: " import -q empty.tar x
  refuses "$store/oci-layout: " rmi alpine
  refuses "$store/oci-layout: " tag alpine x
  refuses "$store/oci-layout: " system check --repair
  in_alpine -- true
  picture_of "$store/blobs" | diff before -
  echo '{"imageLayoutVersion":"1.0.0"}' >"$store/oci-layout"
}

@test "a container whose record is damaged is seen and removed, and is nobody else's trouble" {
  local how file
  moss run --name fine --network none alpine true
  for file in container.json state.json; do
    for how in empty short flipped; do
      moss run --name hurt --network none alpine true
      damage $how "$store/containers/$(moss inspect --format '{{.Id}}' hurt)/$file"
      run moss ps -a --format '{{.Names}} {{.Status}}'
      assert_success
      [[ $output == *"hurt Damaged"* && $output == *"fine Exited (0)"* ]] || fail "$how $file: $output"
      run moss inspect --format '{{.State.Error}}' hurt
      assert_has "$file"
      in_alpine -- true
      moss rm hurt >/dev/null
    done
  done
  run moss ps -a --format '{{.Names}}'
  assert_output fine
}

@test "notes of what is not synced may have any name" {
  mkdir "$store/unsynced"
  : >"$store/unsynced/x"
  : >"$store/unsynced/.y.z"
  : >"$store/unsynced/1.sha256-..2"
  in_alpine -- true
  add_other
  run moss images --quiet
  ((${#lines[@]} == 2)) || fail "$output"
}

@test "a damaged auth.json is told by its name" {
  local how
  mkdir -p "$XDG_RUNTIME_DIR/containers"
  for how in short flipped; do
    echo '{"auths":{"127.0.0.1:1":{"auth":"YTpi"}}}' >"$XDG_RUNTIME_DIR/containers/auth.json"
    damage $how "$XDG_RUNTIME_DIR/containers/auth.json"
    refuses "$XDG_RUNTIME_DIR/containers/auth.json: " login --get-login 127.0.0.1:1
    refuses "$XDG_RUNTIME_DIR/containers/auth.json: " pull -q --retry 0 127.0.0.1:1/x
    in_alpine -- true
  done
}

@test "what cannot be written to is read: images, inspect, ps; and each command that writes says what to do" {
  ((EUID != 0)) || skip "root may write to everything"
  local word
  moss run --name c --network none alpine true
  moss save -q -o archive.tar alpine
  make_rootfs rootfs
  as_owner find "$XDG_DATA_HOME" -name work -prune -o -path '*/fs' -prune -o -type d -exec chmod a-w {} +
  moss images >/dev/null
  moss inspect alpine >/dev/null
  moss history alpine >/dev/null
  [[ $(moss ps -a --format '{{.Names}}') == c ]]
  moss system df >/dev/null
  moss system check --quick
  moss save -q -o again.tar alpine
  cmp archive.tar again.tar
  for word in "import -q archive.tar x" "load -q -i archive.tar" "tag alpine x" "untag alpine" \
    "run --rm --network none alpine true" "commit -q c x" "manifest create l"; do
    # shellcheck disable=SC2086 # words
    run moss $word
    ((status != 0)) || fail "$word: success"
    [[ $output == *"$store"* ]] || fail "$word: $output"
  done
  # With another place for what containers write, all that is there can be used.
  mkdir -m 700 elsewhere
  XDG_DATA_HOME=$PWD/elsewhere MOSS_ADDITIONAL_STORES=$store moss run --rm --network none --pull never alpine true
  XDG_DATA_HOME=$PWD/elsewhere moss run --rm --network none --rootfs rootfs true
  as_owner find "$XDG_DATA_HOME" -type d ! -perm -u+w -exec chmod u+w {} +
}

# --- several at work ---

# Eight images in the registry that share a layer, and have one of their own.
fill_with_sharers() {
  local i
  head -c 400000 /dev/urandom >noise && tar -cf base.tar noise
  for i in 1 2 3 4 5 6 7 8; do
    echo $i >own$i && tar -cf own$i.tar own$i
    make_layout share$i "{\"Cmd\":[\"$i\"]}" base.tar own$i.tar
    sk copy -q --dest-tls-verify=false oci:share$i:test "docker://$registry/share$i:1"
  done
}
# The layers of these images that were asked for more than once, since the log had $1 lines.
twice_downloaded() {
  tail -n "+$(($1 + 1))" registry.log | sed -n 's|.*"GET /v2/[^/]*/blobs/\(sha256:[0-9a-f]*\) .*|\1|p' | sort | uniq -d
}

@test "several pulls at once fetch no layer twice" {
  local round from i pids times=3
  [[ -z ${MOSS_TEST_ALL-} ]] || times=100
  start_registry
  fill_with_sharers
  for ((round = 0; round < times; ++round)); do
    from=$(wc -l <registry.log)
    pids=()
    for i in 1 1 1 2 3 4 5 6 7 8; do
      "$MOSS" pull -q "$registry/share$i:1" >"said$i" 2>&1 &
      pids+=($!)
    done
    for i in "${pids[@]}"; do
      wait "$i" || fail "round $round: a pull failed:" "$(cat said*)"
    done
    # A config is a document and is read with its manifest; layers are the blobs that are large.
    for i in $(twice_downloaded "$from"); do
      [[ " $(jq -r '.layers[].digest' share*/blobs/sha256/* 2>/dev/null | tr '\n' ' ')" != *" $i "* ]] || fail "round $round: fetched twice: $i"
    done
    run moss images --quiet
    ((${#lines[@]} == 9)) || fail "round $round: $output"
    wait_for 20 is_synced
    run moss system check
    assert_success
    assert_output ""
    moss rmi $(for i in 1 2 3 4 5 6 7 8; do echo "$registry/share$i:1"; done) >/dev/null
    wait_for 10 is_removed
  done
}

@test "rmi while the image is pulled, and while it runs" {
  local round pull times=4
  [[ -z ${MOSS_TEST_ALL-} ]] || times=60
  start_registry
  fill_with_sharers
  for ((round = 0; round < times; ++round)); do
    "$MOSS" pull -q "$registry/share1:1" >said 2>&1 &
    pull=$!
    sleep "0.0$((round * 13 % 60 / 10))$((round % 10))"
    moss rmi "$registry/share1:1" >/dev/null 2>&1 || true
    # The image was removed before it was there, or after, or the pull tells that it is gone again.
    wait "$pull" || [[ $(<said) == *"removed by another moss"* ]] || fail "round $round: $(<said)"
    run moss system check
    assert_success
    moss rmi "$registry/share1:1" >/dev/null 2>&1 || true
  done
  moss run -d --name c --network none alpine sleep 100 >/dev/null
  run moss rmi alpine
  assert_status 2
  assert_has "in use"
  run moss image prune --all --force
  assert_success
  moss exec c cat /etc/os-release >/dev/null
  moss rm -f -t 0 c >/dev/null
}
