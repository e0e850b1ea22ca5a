# Images: load, import, list, look at, remove; and what is refused.

load helpers
check_store=full

# What the store holds of images, to compare before and after.
store_picture() { (cd "$XDG_DATA_HOME/moss" && find . -path ./layers -prune -o -type f ! -name '*lock*' -printf '%P %s\n' | sort); }

plain_layout() {
  zcat "$(rootfs_tarball)" >alpine.tar
  make_layout layout '{"Cmd":["echo","plain"],"Env":["A=1"]}' alpine.tar
}

# The path of the blob that jq filter $2 names in file $1.
blob_of() { printf 'layout/blobs/sha256/%s\n' "$(jq -r "$2" "$1" | cut -d: -f2)"; }

# The layout is refused with $1 in the message, and the store is as before.
layout_is_refused() {
  local before
  before=$(store_picture)
  run timeout 60 "$MOSS" pull oci:layout
  assert_status 125
  assert_has "$1"
  [[ $(store_picture) == "$before" ]] || fail "left behind:" "$(store_picture)"
}

@test "a docker archive of skopeo's is loaded and runs" {
  command -v skopeo >/dev/null || skip "skopeo is not installed"
  plain_layout
  skopeo --insecure-policy copy -q oci:layout:test docker-archive:image.tar:example.com/x:1
  run moss load -q -i image.tar
  assert_success
  assert_has "example.com/x:1"
  run moss run --rm --network none --pull never example.com/x:1
  assert_success
  assert_output plain
}

@test "an OCI archive of skopeo's is loaded and runs" {
  command -v skopeo >/dev/null || skip "skopeo is not installed"
  plain_layout
  skopeo --insecure-policy copy -q oci:layout:test oci-archive:image.tar:example.com/y:1
  run moss load -q -i image.tar
  assert_success
  run moss run --rm --network none --pull never example.com/y:1
  assert_output plain
}

@test "load reads standard input" {
  plain_layout
  sed -i 's|ref.name":"test"|ref.name":"example.com/z:1"|' layout/index.json
  tar -C layout -c . | moss load -q
  run moss run --rm --network none --pull never example.com/z:1
  assert_output plain
}

@test "images lists names, rmi removes them and their blobs" {
  make_image extra '{"Cmd":["true"]}'
  run moss images
  assert_has localhost/alpine
  assert_has localhost/extra
  run moss images --format json
  [[ $(jq length <<<"$output") == 2 ]]
  run moss rmi extra
  assert_success
  run moss images --quiet
  ((${#lines[@]} == 1))
  run moss run --rm --network none alpine true
  assert_success
}

@test "rmi of the last name leaves no blob" {
  moss rmi alpine >/dev/null
  run find "$XDG_DATA_HOME/moss/blobs" -type f
  assert_output ""
}

@test "what another program adds to the store is listed beside the images that were known" {
  command -v skopeo >/dev/null || skip "skopeo is not installed"
  moss images >/dev/null
  [[ -s $XDG_DATA_HOME/moss/summaries ]] || fail "nothing was kept for the next time"
  plain_layout
  skopeo --insecure-policy copy -q oci:layout:test "oci:$XDG_DATA_HOME/moss:localhost/theirs:1"
  for _ in first again; do
    run moss images --noheading --sort repository --format '{{.Repository}}:{{.Tag}}'
    assert_success
    assert_output "$(printf '%s\n' localhost/alpine:latest localhost/theirs:1)"
  done
  run moss images -q --no-trunc theirs
  assert_output "sha256:$(jq -r .config.digest "$(blob_of layout/index.json '.manifests[0].digest')" | cut -d: -f2)"
  run moss run --rm --network none --pull never localhost/theirs:1
  assert_output plain
}

@test "rmi refuses an image that a container has" {
  moss run --name n --network none alpine true
  run moss rmi alpine
  ((status != 0))
  assert_has "in use by container n"
  run moss run --rm --network none alpine true
  assert_success
}

@test "an image for another platform is not taken for the one asked for" {
  refuses linux/s390x run --rm --network none --pull never --platform linux/s390x alpine true
  refuses --platform run --rm --network none --platform /x alpine true
  run moss run --rm --network none --pull never --platform "linux/$(moss inspect alpine | jq -r '.[0].Architecture')" alpine true
  assert_success
}

@test "inspect of an image is JSON with its configuration" {
  make_image shown '{"Cmd":["a","b"],"Env":["X=1"],"Labels":{"l":"v"},"WorkingDir":"/usr"}'
  moss inspect shown >json
  [[ $(jq -r '.[0].Config.Cmd[1], .[0].Config.Labels.l, .[0].Config.WorkingDir' json) == $'b\nv\n/usr' ]]
}

@test "an image that is missing is told by its name" {
  refuses no-such-image run --rm --network none --pull never no-such-image true
  run moss rmi no-such-image
  ((status != 0))
  assert_has no-such-image
  run moss inspect no-such-image
  ((status != 0))
  assert_has no-such-image
  refuses missing.tar load -i missing.tar
}

@test "a layer with a wrong digest is refused" {
  plain_layout
  local layer
  layer=$(blob_of "$(blob_of layout/index.json '.manifests[0].digest')" '.layers[0].digest')
  printf X | dd of="$layer" bs=1 seek=1000000 conv=notrunc status=none
  layout_is_refused sha256
}

@test "a truncated layer is refused" {
  plain_layout
  local layer
  layer=$(blob_of "$(blob_of layout/index.json '.manifests[0].digest')" '.layers[0].digest')
  truncate -s 1000000 "$layer"
  layout_is_refused "$(basename "$layer" | cut -c1-12)"
}

@test "a size that lies is refused" {
  plain_layout
  jq -c '.manifests[0].size = 1' layout/index.json >index && mv index layout/index.json
  layout_is_refused promised
}

@test "a diff id that lies is refused" {
  plain_layout
  local manifest
  manifest=$(blob_of layout/index.json '.manifests[0].digest')
  jq -c '.rootfs.diff_ids[0] = "sha256:" + "0" * 64' "$(blob_of "$manifest" '.config.digest')" >lying.config
  jq -c --argjson c "$(add_blob layout lying.config application/vnd.oci.image.config.v1+json)" '.config = $c' "$manifest" >lying
  jq -nc --argjson m "$(add_blob layout lying application/vnd.oci.image.manifest.v1+json)" '{schemaVersion:2,manifests:[$m]}' >layout/index.json
  layout_is_refused 000000000000
}

@test "a manifest that is an index too is refused" { # CVE-2021-41190
  plain_layout
  local manifest
  manifest=$(blob_of layout/index.json '.manifests[0].digest')
  jq -c '. + {manifests: [.config]}' "$manifest" >both
  jq -nc --argjson m "$(add_blob layout both application/vnd.oci.image.manifest.v1+json)" '{schemaVersion:2,manifests:[$m]}' >layout/index.json
  layout_is_refused manifest
}

@test "digests that are paths or of unknown kinds are refused" { # CVE-2024-3727
  plain_layout
  local digest
  for digest in "sha256:../../../etc/passwd" "md5:d41d8cd98f00b204e9800998ecf8427e" sha256: ""; do
    jq -nc --arg d "$digest" '{schemaVersion:2,manifests:[{mediaType:"application/vnd.oci.image.manifest.v1+json",digest:$d,size:3}]}' >layout/index.json
    layout_is_refused digest
  done
}

@test "a layer never writes outside" {
  make_victim victim
  local before
  before=$(picture_of victim)
  ln -s "$PWD/victim" link
  tar -cf link.tar link
  rm link
  mkdir -p link/dir && echo bad >link/dir/file && echo bad >link/new
  tar -rf link.tar link/dir/file link/new
  tar -cPf up.tar --transform="s|.*|../../../../../../../../..$PWD/victim/new|" link/new
  tar -cPf absolute.tar --transform="s|.*|$PWD/victim/new|" link/new
  local layer
  for layer in link up absolute; do
    zcat "$(rootfs_tarball)" >alpine.tar
    rm -rf layout
    make_layout layout '{}' alpine.tar "$layer.tar"
    run moss pull -q oci:layout:test
    [[ $(picture_of victim) == "$before" ]] || fail "changed by $layer"
  done
}

@test "what is no image is refused" {
  head -c 100000 /dev/urandom >noise
  local before
  before=$(store_picture)
  refuses noise load -q -i noise
  refuses noise import -q noise x
  : >empty
  refuses empty load -q -i empty
  [[ $(store_picture) == "$before" ]]
}

@test "import says what its containers begin with" {
  local tar
  tar=$(rootfs_tarball)
  moss import -q -c 'CMD ["/bin/echo", "by itself"]' -c ENV=GREETING=hello --change USER=1000 -m "by hand" "$tar" mine
  run moss run --rm --network none mine
  assert_output "by itself"
  run moss run --rm --network none mine sh -c 'echo $GREETING; id -u'
  assert_output $'hello\n1000'
  local before
  before=$(store_picture)
  run moss import -q --change RUN=ls "$tar" other
  assert_status 125
  assert_has "change \"RUN=ls\": only CMD, ENTRYPOINT"
  [[ $(store_picture) == "$before" ]]
}
