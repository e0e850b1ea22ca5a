# Images on their way out: to registries, and into files that other tools read.

load helpers
load registry

# What the store holds, to compare before and after.
store_picture() { (cd "$XDG_DATA_HOME/moss" && find . -path ./layers -prune -o -type f -printf '%P %s\n' | sort); }

# An image `two` of two layers (gzip and plain), in Docker's format where $1 is "docker".
make_two() {
  mkdir -p files && echo hello >files/hello && tar -cf second.tar -C files hello
  make_image two '{"Cmd":["cat","/hello"],"Env":["A=1"]}' second.tar
}

manifest_digest() { moss inspect "$1" | jq -r '.[0].Digest'; }

# --- what is refused ---

@test "an image that is not there is told by its name" {
  refuses no-such-image push no-such-image 127.0.0.1:1/x
  refuses no-such-image save -o x.tar no-such-image
  [[ ! -e x.tar ]]
  refuses "which image" push
  refuses "which image" save
  refuses "name of your own" push alpine
  refuses "one word too many: c" push alpine b c
}

@test "what moss cannot do is said by the option's name" {
  local option
  for option in --sign-by --encryption-key --encrypt-layer --sign-by-sigstore --sign-passphrase-file; do
    refuses "option $option is not supported" push $option x alpine 127.0.0.1:1/x
  done
  refuses "option --sign-by is not supported" push --sign-by=x alpine 127.0.0.1:1/x
  refuses "unknown option --nonsense" push --nonsense alpine 127.0.0.1:1/x
  refuses "v2s1" push --format v2s1 alpine 127.0.0.1:1/x
  refuses "zstd:chunked" push --compression-format zstd:chunked alpine 127.0.0.1:1/x
  refuses "compression level 10" push --compression-format gzip --compression-level 10 alpine dir:d
  refuses "no zstd layers" push --format v2s2 --compression-format zstd alpine dir:d
  refuses "moss writes to registries" push alpine containers-storage:x
  DOCKER_HOST=unix://$PWD/none.sock refuses "no Docker daemon" push alpine docker-daemon:x
  refuses "expected a time" push --retry-delay soon alpine 127.0.0.1:1/x
  refuses "--compress is for" save --compress -o x.tar alpine
  refuses "--uncompressed is for" save --uncompressed -o x.tar alpine
  refuses "needs a folder" save --format oci-dir alpine
  [[ ! -e d && ! -e x.tar ]]
}

@test "a registry that is not there, or is none, is told" {
  refuses "127.0.0.1:1" push --retry 0 alpine 127.0.0.1:1/x
  start_registry auth
  refuses "unauthorized; log in first" push alpine "$registry/x"
  refuses "does not accept these credentials" push --creds bob:wrong alpine "$registry/x"
  [[ ! -d registry-data/docker/registry/v2/repositories/x ]]
}

@test "a folder that is something else is not written to" {
  mkdir full && echo precious >full/file
  refuses "no OCI layout" push alpine oci:full
  refuses "no folder of an image" push alpine dir:full
  refuses "full" save -o full alpine
  echo precious >file
  refuses file push alpine dir:file
  refuses file push alpine oci:file
  [[ $(ls -A full) == file && $(cat full/file file) == $'precious\nprecious' ]]
}

@test "a damaged blob does not leave the store" {
  local layer
  layer=$(find "$XDG_DATA_HOME/moss/blobs" -size +500k)
  printf X | dd of="$layer" bs=1 seek=100000 conv=notrunc status=none
  refuses "damaged in the store" push alpine oci:out
  refuses "damaged in the store" save --format oci-archive -o out.tar alpine
  [[ $(ls -A) != *out* ]] || fail "left behind:" "$(ls -A)"
  truncate -s 100 "$layer"
  refuses "damaged in the store" push alpine dir:out
  rm "$layer"
  refuses "missing from the store" push alpine dir:out
  [[ $(ls -A) != *out* ]] || fail "left behind:" "$(ls -A)"
  moss rmi alpine >/dev/null # the store is looked at in the end
}

@test "an archive is not written to a terminal" {
  command -v expect >/dev/null || skip "expect is not installed"
  run expect -c "spawn -noecho $MOSS save alpine; expect eof; catch wait result; exit [lindex \$result 3]"
  assert_status 125
  assert_has "not for a terminal"
}

# --- registries ---

@test "what is pushed is byte for byte what came in, and is pulled again" {
  start_registry
  make_two
  local digest
  digest=$(manifest_digest two)
  moss push -q --digestfile digest two "$registry/org/two:v1"
  [[ $(cat digest) == "$digest" ]]
  [[ $(sk inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/org/two:v1") == "$digest" ]]
  moss rmi two >/dev/null
  moss pull -q "$registry/org/two:v1"
  [[ $(manifest_digest "$registry/org/two:v1") == "$digest" ]]
  run moss run --rm --network none "$registry/org/two:v1"
  assert_output hello
}

@test "what the registry has is not sent again" {
  start_registry
  moss push "$(moss images -q)" "$registry/x:1"
  run moss push alpine "$registry/x:2"
  assert_success
  refute_has sending
  assert_has "already here"
}

@test "a blob that the registry has elsewhere is mounted" {
  start_registry
  moss push -q alpine "$registry/first/alpine"
  moss pull -q "$registry/first/alpine"
  run moss push "$registry/first/alpine" "$registry/second/alpine"
  assert_success
  assert_has "mounted from another repository"
  run moss pull -q "$registry/second/alpine"
  assert_success
}

@test "TLS, a password, and files that hold one" {
  start_registry tls auth
  refuses certificate push --retry 0 --creds bob:secret alpine "$registry/x"
  moss push -q --cert-dir certs --creds bob:secret alpine "$registry/x"
  printf '{"auths":{"%s":{"auth":"%s"}}}' "$registry" "$(printf bob:secret | base64)" >auth.json
  moss push -q --tls-verify=false --authfile auth.json alpine "$registry/y"
  REGISTRY_AUTH_FILE=$PWD/auth.json moss push -q --tls-verify=false alpine "$registry/z"
  sk inspect --tls-verify=false --creds bob:secret "docker://$registry/z" >/dev/null
}

@test "pushing needs no name where the image has a registry's" {
  start_registry
  moss push -q alpine "$registry/x"
  moss pull -q "$registry/x"
  moss push -q "$registry/x"
  refuses "digest" push alpine "$registry/x@sha256:$(printf '0%.0s' {1..64})"
}

@test "another format and another compression, as asked" {
  start_registry
  make_two
  local id
  id=$(moss inspect two | jq -r '.[0].Id')
  moss push -q --format v2s2 two "$registry/docker"
  sk inspect --tls-verify=false --raw "docker://$registry/docker" >manifest
  [[ $(jq -r '.mediaType, .config.mediaType' manifest) == $'application/vnd.docker.distribution.manifest.v2+json\napplication/vnd.docker.container.image.v1+json' ]]
  moss push -q --compression-format zstd --compression-level 7 --digestfile digest two "$registry/zstd"
  sk inspect --tls-verify=false --raw "docker://$registry/zstd" >manifest
  [[ sha256:$(sha256_of manifest) == "$(cat digest)" ]]
  [[ $(jq -r '[.layers[].mediaType] | unique[]' manifest) == application/vnd.oci.image.layer.v1.tar+zstd ]]
  moss push -q --compression-format gzip "$registry/zstd" "$registry/none" && fail "pushed what was never pulled"
  local name
  for name in docker zstd; do
    moss pull -q "$registry/$name"
    [[ $(moss inspect "$registry/$name" | jq -r '.[0].Id') == "$id" ]]
  done
  # Back from zstd: v2s2 has none of it.
  moss rmi two docker >/dev/null
  moss push -q --format v2s2 "$registry/zstd" "$registry/back"
  sk inspect --tls-verify=false --raw "docker://$registry/back" >manifest
  [[ $(jq -r '[.layers[].mediaType] | unique[]' manifest) == application/vnd.docker.image.rootfs.diff.tar.gzip ]]
  # Only plain layers are compressed where nothing is forced; the others stay.
  run moss push -q --compression-format gzip --force-compression=false "$registry/zstd" "$registry/same"
  assert_success
  sk inspect --tls-verify=false --raw "docker://$registry/same" >manifest
  [[ $(jq -r '[.layers[].mediaType] | unique[]' manifest) == application/vnd.oci.image.layer.v1.tar+zstd ]]
  wait_for 20 is_removed
  run ls "$XDG_DATA_HOME/moss/staging"
  assert_output ""
}

@test "podman pulls what moss pushed and moss what podman pushed" {
  command -v podman >/dev/null || skip "podman is not installed"
  local driver=vfs
  start_registry
  make_two
  moss push -q two "$registry/two"
  podman_here pull -q --tls-verify=false "$registry/two" 2>podman.log || skip "podman does not work here: $(tail -n 1 podman.log)"
  podman_here push -q --tls-verify=false "$registry/two" "$registry/theirs"
  moss pull -q "$registry/theirs"
  run moss run --rm --network none "$registry/theirs"
  assert_output hello
}
# --- files ---

@test "what moss saves, skopeo, umoci and podman read, and moss itself" {
  make_two
  local id digest
  id=$(moss inspect two | jq -r '.[0].Id') digest=$(manifest_digest two)
  moss save -q -o docker.tar two
  moss save -q --format docker-archive two >piped.tar
  cmp docker.tar piped.tar
  moss save -q --format oci-archive -o oci.tar two
  moss save -q --format oci-dir -o oci two
  moss save -q --format docker-dir -o dir two
  local source
  for source in docker-archive:docker.tar oci-archive:oci.tar oci:oci dir:dir; do
    [[ $(sk inspect --config --raw "$source" | sha256sum) == "$id "* ]] || fail "$source is another image"
  done
  [[ $(sk inspect --format '{{.Digest}}' oci:oci) == "$digest" ]]
  [[ $(sk inspect --format '{{.Digest}}' oci-archive:oci.tar) == "$digest" ]]
  [[ $(jq -r .mediaType dir/manifest.json) == application/vnd.docker.distribution.manifest.v2+json ]]
  umoci ls --layout oci
  moss rmi two >/dev/null
  for source in docker.tar oci.tar oci; do
    moss load -q -i "$source" >loaded
    [[ $(cat loaded) == "Loaded image: localhost/two:latest" ]]
    run moss run --rm --network none --pull never two
    assert_output hello
    [[ $(moss inspect two | jq -r '.[0].Id') == "$id" ]]
    moss rmi two >/dev/null
  done
}

@test "several names, and several images in one archive" {
  make_two
  moss save -q -o names.tar two example.com/other:1
  [[ $(tar -xOf names.tar manifest.json | jq -rc '.[].RepoTags') == '["localhost/two:latest","example.com/other:1"]' ]]
  moss save -q -m -o both.tar alpine two
  [[ $(tar -xOf both.tar manifest.json | jq -rc '[.[].RepoTags[]]') == '["localhost/alpine:latest","localhost/two:latest"]' ]]
  # The layer they share is in there once.
  [[ $(tar -tf both.tar | sort | uniq -d) == "" && $(tar -tf both.tar | grep -c '\.tar$') == 2 ]]
  refuses "several images" save -m --format oci-archive -o oci.tar alpine two
  moss rmi alpine two >/dev/null
  moss load -q <both.tar
  run moss images --noheading
  ((${#lines[@]} == 2))
  run moss run --rm --network none --pull never two
  assert_output hello
}

@test "an OCI layout takes one image after the other" {
  make_two
  moss push -q alpine oci:layout:a
  moss push -q two oci:layout:b
  moss push -q two oci:layout:b
  [[ $(jq -r '[.manifests[].annotations["org.opencontainers.image.ref.name"]] | join(" ")' layout/index.json) == "a b" ]]
  moss push -q alpine oci:layout:b
  [[ $(jq '[.manifests[].digest] | unique | length' layout/index.json) == 1 ]]
  run umoci ls --layout layout
  assert_output $'a\nb'
  sk inspect oci:layout:a >/dev/null
}

@test "dir: is read by skopeo, and replaced as a whole" {
  make_two
  moss push -q alpine dir:out
  local before
  before=$(ls out)
  moss push -q two dir:out
  [[ $(ls out) != "$before" && $(sk inspect --format '{{len .Layers}}' dir:out) == 2 ]]
  [[ $(find . -maxdepth 1 -name '.*part*') == "" ]]
}

@test "plain layers, and compressed ones, where they are asked for" {
  make_two
  moss save -q --format oci-dir --uncompressed -o plain alpine
  [[ $(jq -r '.layers[].mediaType' "plain/blobs/sha256/$(jq -r '.manifests[0].digest[7:]' plain/index.json)") == application/vnd.oci.image.layer.v1.tar ]]
  moss save -q --format docker-dir --compress -o compressed two
  [[ $(jq -r '[.layers[].mediaType] | unique[]' compressed/manifest.json) == application/vnd.docker.image.rootfs.diff.tar.gzip ]]
  sk copy -q dir:compressed oci:again
}

@test "a save that is killed or finds a full disk leaves the file that was there" {
  echo precious >out.tar
  local before
  before=$(store_picture)
  mkfifo pipe
  # It stops in the middle, as nobody reads.
  "$MOSS" save -q alpine >pipe &
  local saver=$!
  exec 5<pipe
  head -c 10 <&5 >/dev/null
  kill -KILL "$saver"
  wait "$saver" || true
  exec 5<&-
  (ulimit -f 1000 && run_ignoring_xfsz "$MOSS" save -q -o out.tar alpine) && fail "saved beyond the limit"
  [[ $(cat out.tar) == precious && $(ls -A | grep -c part) == 0 ]]
  [[ $(store_picture) == "$before" ]]
}
run_ignoring_xfsz() { (trap '' XFSZ && exec "$@"); }
