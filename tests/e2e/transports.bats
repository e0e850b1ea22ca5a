# Images from other places than registries and archives: folders of skopeo's, Podman's store, a Docker daemon; and how
# layers may be compressed.

load helpers
load registry

store_picture() { (cd "$XDG_DATA_HOME/moss" && find blobs staging index.json -type f -printf '%P %s\n' | sort); }

# skopeo's copy of alpine as $1.
alpine_as() { moss push -q alpine oci:layout:alpine && sk copy -q oci:layout:alpine "$1" "${@:2}"; }

@test "what is not there is told" {
  local before
  before=$(store_picture)
  refuses no-such pull dir:no-such
  refuses "Podman has no images in" pull containers-storage:alpine
  refuses "Podman has no images in $PWD/none" pull "containers-storage:[vfs@$PWD/none]alpine"
  refuses "storage driver btrfs" pull "containers-storage:[btrfs@$PWD]alpine"
  DOCKER_HOST=unix://$PWD/none.sock refuses "no Docker daemon: $PWD/none.sock" pull docker-daemon:alpine
  DOCKER_HOST=tcp://127.0.0.1:1 refuses "only unix://" pull docker-daemon:alpine
  mkdir empty
  refuses manifest.json pull dir:empty
  [[ $(store_picture) == "$before" ]]
}

@test "dir: is loaded, and believed no more than its digests" {
  alpine_as dir:theirs
  local id
  id=$(moss inspect alpine | jq -r '.[0].Id')
  moss rmi alpine >/dev/null
  [[ $(moss pull -q dir:theirs) == *"$id"* ]]
  run moss run --rm --network none --pull never "$id" echo hello
  assert_output hello
  moss rmi "$id" >/dev/null
  moss load -q -i theirs
  moss rmi "$id" >/dev/null
  local layer
  layer=$(jq -r '.layers[0].digest[7:]' theirs/manifest.json)
  printf X | dd of="theirs/$layer" bs=1 seek=1000 conv=notrunc status=none
  refuses "$layer" pull -q dir:theirs
  jq -c '.layers[0].digest = "sha256:../../../etc/passwd"' theirs/manifest.json >bad && cp bad theirs/manifest.json
  refuses digest pull -q dir:theirs
  wait_for 20 is_removed
  [[ -z $(find "$XDG_DATA_HOME/moss/blobs" -type f) ]]
}

@test "an image of Podman's own store is read as it was" {
  command -v podman >/dev/null || skip "podman is not installed"
  local driver tried=
  alpine_as docker-archive:alpine.tar:example.com/alpine:1
  mkdir files && printf 'x%.0s' {1..300} >files/x && ln files/x files/y && ln -s x files/z && tar -cf second.tar -C files .
  make_image two '{"Cmd":["cat","/x"]}' second.tar
  moss save -q -o two.tar two
  for driver in vfs overlay; do
    podman_here load -q -i two.tar >/dev/null 2>podman.log || continue
    tried+=$driver
    local id
    podman_here images -q --no-trunc localhost/two >id
    id=$(cat id)
    moss rmi -f two >/dev/null
    moss pull -q "containers-storage:[$driver@$PWD/podman]two" >out
    [[ $(cat out) == "Loaded image: localhost/two:latest" && sha256:$(moss inspect two | jq -r '.[0].Id') == "$id" ]]
    run moss run --rm --network none --pull never two
    assert_output "$(cat files/x)"
    refuses "no such image" pull -q "containers-storage:[$driver@$PWD/podman]three"
    as_owner rm -rf "$PWD/podman"
  done
  [[ -n $tried ]] || skip "podman does not work here: $(tail -n 1 podman.log)"
}

# A store of one image with one layer, whose tar-split has the lines $1.
make_podman_store() {
  local id layer
  layer=$(printf '%064d' 1)
  echo '{"architecture":"amd64","os":"linux","rootfs":{"type":"layers","diff_ids":["sha256:'"$layer"'"]}}' >podman.config
  id=$(sha256_of podman.config)
  mkdir -p "podman/vfs-images/$id" podman/vfs-layers "podman/vfs/dir/$layer"
  cp podman.config "podman/vfs-images/$id/=$(printf 'sha256:%s' "$id" | base64 -w0)"
  echo '[{"id":"'"$id"'","names":["localhost/t:latest"],"layer":"'"$layer"'"}]' >podman/vfs-images/images.json
  echo '[{"id":"'"$layer"'","diff-digest":"sha256:'"$layer"'"}]' >podman/vfs-layers/layers.json
  printf '%s\n' "$1" | gzip >"podman/vfs-layers/$layer.tar-split.gz"
}

@test "a damaged store of Podman's is told in one line" {
  local line
  for line in '[' '1' '{}' '{"type":"x"}' '{"type":1e99}' '{"type":18446744073709551617}' '{"type":3}' '{"type":1,"size":"x","name":"f"}' \
    '{"type":1,"size":1e30,"name":"f"}' '{"type":1,"size":18446744073709551615,"name":"f"}' '{"type":2,"payload":7}' '{"type":2,"payload":"?"}'; do
    rm -rf podman
    make_podman_store "$line"
    refuses "" pull -q "containers-storage:[vfs@$PWD/podman]t"
    [[ $output == *tar-split* || $line == *payload* ]] || fail "$line:" "$output"
  done
  rm -rf podman
  make_podman_store '{"type":1,"size":9223372036854775807,"name":"f"}'
  echo x >"podman/vfs/dir/$(printf '%064d' 1)/f"
  refuses "f was changed in Podman's store" pull -q "containers-storage:[vfs@$PWD/podman]t"
}

# Where moss looks for Podman's images, and that Podman would too.
assert_podman_place() {
  refuses "Podman has no images in $1" pull containers-storage:none
  if command -v podman >/dev/null && ((EUID != 0)); then
    run podman --log-level error info --format '{{.Store.GraphRoot}}'
    [[ $output == "$1" || $output != /* ]] || fail "podman: $output"
  fi
}

@test "Podman's store is where storage.conf says" {
  unset CONTAINERS_STORAGE_CONF
  mkdir -p "$XDG_CONFIG_HOME/containers" "$HOME/own"
  local conf=$XDG_CONFIG_HOME/containers/storage.conf
  printf '[storage]\ndriver = "vfs"\ngraphroot = "%s"\nrunroot = "%s"\n' "$PWD/graph" "$PWD/graphrun" >named.conf
  if ((EUID != 0)); then
    assert_podman_place "$XDG_DATA_HOME/containers/storage"
    printf '[storage]\ndriver = "vfs"\nrootless_storage_path = "$HOME/own/$UID"\n' >"$conf"
    assert_podman_place "$HOME/own/$EUID"
    cp named.conf "$conf"
    echo 'rootless_storage_path = "/nowhere"' >>"$conf"
    assert_podman_place "$PWD/graph"
    XDG_CONFIG_HOME= HOME=$PWD/other assert_podman_place "$XDG_DATA_HOME/containers/storage"
  fi
  sed -i "s|$PWD/graph\"|$PWD/named\"|" named.conf
  export CONTAINERS_STORAGE_CONF=$PWD/named.conf
  # As the manual says; podman 4.3 reads it, and then takes the user's usual folder.
  refuses "Podman has no images in $PWD/named" pull containers-storage:none
  # The words in the name still win.
  refuses "no images in $PWD/here" pull "containers-storage:[vfs@$PWD/here]none"
  printf '[storage]\ndriver = "btrfs"\n' >named.conf
  refuses "storage driver btrfs" pull containers-storage:none
  printf '[storage]\ngraphroot = "relative"\n' >named.conf
  refuses "graphroot: relative is no absolute path" pull containers-storage:none
  printf '[storage\n' >named.conf
  refuses "named.conf:1" pull containers-storage:none
  as_owner rm -rf "$HOME/own" "$PWD/graph" "$PWD/graphrun" "$PWD/named" "$XDG_DATA_HOME/containers"
}

@test "images go to a Docker daemon and come from it" {
  command -v python3 >/dev/null || skip "python3 is not installed"
  # Of Docker's API no more than this: an archive out, an archive in.
  cat >docker.py <<'EOF'
import http.server, os, socketserver, sys

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *arguments):
        pass
    def address_string(self):
        return "-"
    def answer(self, status, body):
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        if "names=there" not in self.path:
            return self.answer(404, b'{"message":"reference does not exist"}')
        self.answer(200, open("out.tar", "rb").read())
    def do_POST(self):
        open("in.tar", "wb").write(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(200, b'{"stream":"Loaded"}\n')

class Server(socketserver.UnixStreamServer):
    pass

Server("docker.sock", Handler).serve_forever()
EOF
  moss save -q -o out.tar alpine
  serve python3 docker.py
  wait_for 20 test -S docker.sock
  export DOCKER_HOST=unix://$PWD/docker.sock
  refuses "Docker says: reference does not exist" pull -q docker-daemon:missing:1
  moss push -q alpine docker-daemon:example.com/x:2
  [[ $(tar -xOf in.tar manifest.json | jq -rc '.[0].RepoTags') == '["example.com/x:2"]' ]]
  moss rmi alpine >/dev/null
  moss pull -q docker-daemon:there
  run moss run --rm --network none --pull never alpine echo hello
  assert_output hello
  wait_for 20 is_removed
  [[ -z $(ls "$XDG_DATA_HOME/moss/staging") ]]
}

@test "archives and root filesystems are fetched from a URL" {
  moss save -q -o alpine.tar alpine
  cp "$(rootfs_tarball)" rootfs.tar.gz
  head -c 100000 alpine.tar >cut.tar
  serve python3 -u -c 'import http.server
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), http.server.SimpleHTTPRequestHandler)
print(server.server_port)
server.serve_forever()' >port 2>/dev/null
  wait_for 20 test -s port
  local from
  from=http://127.0.0.1:$(cat port)
  moss rmi alpine >/dev/null
  run moss load -q -i "$from/alpine.tar"
  assert_output "Loaded image: localhost/alpine:latest"
  moss import -q --arch arm64 --variant v8 "$from/rootfs.tar.gz" imported
  run moss inspect --format '{{.Os}}/{{.Architecture}}/{{.Variant}}' imported
  assert_output linux/arm64/v8
  # What is not there, not whole, or no server.
  refuses "the server answered 404" load -q -i "$from/none.tar"
  refuses "the server answered 404" import -q "$from/none.tar"
  refuses "load $from/cut.tar" load -q -i "$from/cut.tar"
  refuses "Couldn't connect" import -q http://127.0.0.1:1/x.tar
  refuses "load https" load -q -i "https${from#http}/alpine.tar"
  # A name with a colon that is no URL is a file.
  refuses "No such file" load -q -i http:x
}

@test "an archive goes through a pipe from store to store" {
  moss save -q alpine | XDG_DATA_HOME=$PWD/second moss load -q
  [[ $(XDG_DATA_HOME=$PWD/second moss images -q) == "$(moss images -q)" ]]
  moss save -q --format oci-archive alpine | XDG_DATA_HOME=$PWD/third moss load -q
  [[ $(XDG_DATA_HOME=$PWD/third moss images -q) == "$(moss images -q)" ]]
  as_owner rm -rf second third
}

# A layer of tar $1 in zstd with what zstd:chunked has: frames one after the other, a manifest and a footer in skippable
# frames, and the annotations that tell where they are.
chunked() {
  python3 - "$1" "$2" <<'EOF'
import json, struct, subprocess, sys
data = open(sys.argv[1], "rb").read()
frame = lambda piece: subprocess.run(["zstd", "-q", "-c"], input=piece, stdout=subprocess.PIPE, check=True).stdout
skippable = lambda content: struct.pack("<II", 0x184D2A50, len(content)) + content
out = b"".join(frame(data[i : i + 1000000]) for i in range(0, len(data), 1000000))
toc = frame(json.dumps({"version": 1, "entries": []}).encode())
offset = len(out) + 8
out += skippable(toc)
out += skippable(struct.pack("<QQQQ", offset, len(toc), 30, 1) + bytes(24) + b"GNUlInUx")
open(sys.argv[2], "wb").write(out)
EOF
}

# An estargz: a gzip member for each megabyte, and a last, empty one that tells where the list of files is.
stargz() {
  python3 - "$1" "$2" <<'EOF'
import gzip, struct, sys, zlib
data = open(sys.argv[1], "rb").read()
out = b"".join(gzip.compress(data[i : i + 1000000]) for i in range(0, len(data), 1000000))
extra = b"SG" + struct.pack("<H", 22) + b"%016xSTARGZ" % len(out)
footer = b"\x1f\x8b\x08\x04\0\0\0\0\0\xff" + struct.pack("<H", len(extra)) + extra
footer += zlib.compressobj(0, zlib.DEFLATED, -15).flush() + struct.pack("<II", 0, 0)
open(sys.argv[2], "wb").write(out + footer)
EOF
}

@test "zstd:chunked and estargz are read as zstd and gzip" {
  command -v zstd >/dev/null || skip "zstd is not installed"
  zcat "$(rootfs_tarball)" >alpine.tar
  make_layout layout '{"Cmd":["echo","plain"]}' alpine.tar
  local kind type manifest
  manifest=layout/blobs/sha256/$(jq -r '.manifests[0].digest[7:]' layout/index.json)
  cp "$manifest" plain
  for kind in chunked stargz; do
    "$kind" alpine.tar layer
    type=gzip
    [[ $kind == stargz ]] || type=zstd
    jq -c --argjson l "$(add_blob layout layer application/vnd.oci.image.layer.v1.tar+$type)" '.layers[0] = $l' plain >changed
    jq -nc --argjson m "$(add_blob layout changed application/vnd.oci.image.manifest.v1+json)" --arg n "localhost/$kind:latest" \
      '{schemaVersion:2,manifests:[$m + {annotations:{"org.opencontainers.image.ref.name":$n}}]}' >layout/index.json
    moss load -q -i layout
    run moss run --rm --network none --pull never "$kind"
    assert_output plain
    # And out again, byte for byte; in another compression it is no longer what it was.
    moss push -q "$kind" oci:again:x
    [[ $(jq -r '.manifests[0].digest' again/index.json) == sha256:$(sha256_of changed) ]]
    moss save -q -o saved.tar "$kind"
  done
}

@test "zstd:chunked of skopeo's is pulled" {
  start_registry
  # Skopeo 1.9 leaves out what follows a tar's two last blocks, and then its diff id is wrong: here nothing follows.
  make_rootfs root
  tar -b1 -cf exact.tar -C root .
  make_layout plain '{}' exact.tar
  sk copy -q --dest-tls-verify=false --dest-compress-format zstd:chunked oci:plain:test "docker://$registry/chunked" 2>skopeo.log ||
    skip "this skopeo makes none: $(tail -n 1 skopeo.log)"
  sk inspect --tls-verify=false --raw "docker://$registry/chunked" >manifest
  [[ $(jq -r '.layers[0].annotations | keys[]' manifest) == *zstd-chunked* ]]
  moss pull -q "$registry/chunked"
  run moss run --rm --network none --pull never "$registry/chunked" echo hello
  assert_output hello
}
