# zstd:chunked layers that are partly here: only the rest of their bytes comes from the registry. By skopeo's own layers
# and Debian's docker-registry; what bad registries and tables do is in tests/images/reuse_pull_test.cc.
# needs: nothing
# speed: fast

load helpers
load registry

check_store=full

setup_file() { :; }
setup() {
  use_home "$BATS_TEST_TMPDIR"
  cd "$BATS_TEST_TMPDIR" || return
  start_registry
}

# The image $1 in the registry: a layer of folder $1, as skopeo makes it with $2 (zstd:chunked, else zstd).
push_folder() {
  # Skopeo 1.9 leaves out what follows a tar's two last blocks, and then its diff id is wrong: here nothing follows.
  tar -b1 --sort=name --owner=0 --group=0 --mtime=@1600000000 -cf "$1.tar" -C "$1" .
  make_layout "$1.layout" '{}' "$1.tar"
  sk copy -q --dest-tls-verify=false --dest-compress-format "${2:-zstd:chunked}" "oci:$1.layout:test" "docker://$registry/$1" 2>skopeo.log ||
    skip "this skopeo makes none: $(tail -n 1 skopeo.log)"
}

# 3 MB that do not compress in 60 files; and a second folder where three of them are others and one is new.
make_folders() {
  local i
  mkdir -p old/bin old/lib
  openssl enc -aes-128-ctr -K 00 -iv 00 -in /dev/zero 2>/dev/null | head -c 3000000 | split -b 50000 -a 3 - old/lib/f || true
  ln -s lib/faaa old/link && ln old/lib/faab old/bin/faab && echo '#!/bin/sh' >old/bin/x && chmod 755 old/bin/x
  cp -a old new
  for i in c d x; do openssl rand -out "new/lib/faa$i" 50000; done
  echo new >new/lib/g
}

# Bytes that the registry sent of blobs to moss, from line $1 of its log on, and in how many answers.
sent() {
  tail -n "+$1" registry.log | sed -n 's|.*"GET /v2/[^ ]*/blobs/[^ ]* HTTP/1.1" 20[06] \([0-9]*\) "" "moss".*|\1|p' |
    awk '{ bytes += $1 } END { print bytes + 0, NR }'
}
log_line() { echo $(($(wc -l <registry.log) + 1)); }

@test "of a second image only what is new is fetched" {
  local line bytes answers size
  make_folders
  push_folder old
  push_folder new
  moss pull -q "$registry/old"
  line=$(log_line)
  moss pull "$registry/new" >id 2>progress
  read -r bytes answers <<<"$(sent "$line")"
  size=$(sk inspect --tls-verify=false --raw "docker://$registry/new" | jq '.layers[0].size')
  ((bytes < size / 5 && answers <= 8)) || fail "$bytes of $size in $answers answers: $(tail -n "+$line" registry.log)"
  [[ $(cat progress) =~ done,\ reused\ 2\.[0-9]*\ MB ]] || fail "$(cat progress)"
  # What was put together is what the registry has.
  local digest
  digest=$(sk inspect --tls-verify=false --raw "docker://$registry/new" | jq -r '.layers[0].digest[7:]')
  [[ $(sha256_of "$XDG_DATA_HOME/moss/blobs/sha256/$digest") == "$digest" ]]
  moss system check
}

@test "progress in JSON tells what was reused" {
  make_folders
  push_folder old
  push_folder new
  moss pull -q "$registry/old"
  moss pull --format json "$registry/new" >lines
  [[ $(jq -s 'map(select(.status == "done"))[0] | .reused > .total / 2' lines) == true ]] || fail "$(cat lines)"
  # What came whole does not speak of it.
  moss rmi "$registry/old" "$registry/new" >/dev/null
  wait_for 20 is_removed
  moss pull --format json "$registry/new" >lines
  [[ $(jq -s 'map(select(has("reused"))) | length' lines) == 0 ]] || fail "$(cat lines)"
}

@test "a layer without a table of contents is one request, as it always was" {
  local line bytes answers
  make_folders
  push_folder old
  push_folder new zstd
  moss pull -q "$registry/old"
  line=$(log_line)
  moss pull -q "$registry/new"
  read -r bytes answers <<<"$(sent "$line")"
  # The config and the layer.
  ((answers == 2))
}
