# What a pull and a load take of memory, all their processes together, whatever the layer: at most 64 MiB.
# speed: slow

load helpers
load registry

readonly limit_kib=65536

# A registry with what is in layout `layout` as app:1.
serve_layout() {
  start_registry
  sk copy -q --dest-tls-verify=false oci:layout:test "docker://$registry/app:1"
}

# moss ARG... takes at most the limit.
stays_small() {
  run --separate-stderr python3 "$repo/tests/bench/peak_memory.py" "$MOSS" "$@"
  assert_success
  echo "# $* took $output KiB" >&3
  ((output > 1000 && output < limit_kib)) || fail "moss $*: $output KiB"
  moss rmi -af >/dev/null
  wait_for 60 is_removed
}

# One image of these layers (tars), compressed by $1: make_compressed_layout COMPRESSOR TAR...
make_compressed_layout() {
  local compressor=$1 type=application/vnd.oci.image.layer.v1.tar+$2 layer
  shift 2
  make_layout layout '{}' "$@"
  local manifest
  manifest=layout/blobs/sha256/$(jq -r '.manifests[0].digest' layout/index.json | cut -d: -f2)
  jq -c '.layers = []' "$manifest" >changed
  for layer; do
    rm "layout/blobs/sha256/$(sha256_of "$layer")"
    $compressor <"$layer" >part
    rm "$layer"
    jq -c --argjson l "$(add_blob layout part "$type")" '.layers += [$l]' changed >changed.new && mv changed.new changed
  done
  jq -nc --argjson m "$(add_blob layout changed application/vnd.oci.image.manifest.v1+json)" \
    '{schemaVersion: 2, manifests: [$m + {annotations: {"org.opencontainers.image.ref.name": "test"}}]}' >layout/index.json
}

# Of 400 MB with MOSS_TEST_ALL=1.
@test "one large layer" {
  if [[ -n ${MOSS_TEST_ALL-} ]]; then
    python3 "$repo/tests/bench/make_layer.py" layer.tar
  else
    python3 "$repo/tests/bench/make_layer.py" layer.tar 5000 100
  fi
  make_compressed_layout "gzip -1" gzip layer.tar
  serve_layout
  rm -rf part
  stays_small pull -q "$registry/app:1"
  stays_small pull -q oci:layout:test
  tar -C layout -cf archive.tar . && rm -rf layout
  stays_small load -q -i archive.tar
}

@test "twenty layers at once" {
  local i layers=()
  for ((i = 0; i < 20; i++)); do
    python3 "$repo/tests/bench/make_layer.py" "$i.tar" 200 4 "$i"
    layers+=("$i.tar")
  done
  make_compressed_layout "zstd -q -3" zstd "${layers[@]}"
  serve_layout
  stays_small pull -q "$registry/app:1"
  stays_small pull -q oci:layout:test
}

# It lies, so that what is put together is wrong, and the layer is fetched once more.
@test "a zstd:chunked layer whose table of contents is as large as can be" {
  python3 "$repo/tests/e2e/huge_toc.py"
  serve_layout
  moss load -q -i old
  stays_small pull -q "$registry/app:1"
  # The table, and the layer.
  [[ $(grep -c '"GET /v2/app/blobs/[^ ]* HTTP/1.1" 206 .*"moss"' registry.log) -ge 1 ]]
  [[ $(grep -c '"GET /v2/app/blobs/[^ ]* HTTP/1.1" 200 .*"moss"' registry.log) == 2 ]]
}

# Four at once whose decoders must look back 8 MiB, as most builders ask, or 32, the most that is taken.
@test "layers with large windows" {
  local window i layers
  for window in 23 25; do
    layers=()
    for i in 1 2 3 4; do
      mkdir "$i"
      # More than the window, and of the kind that is compressed in no time.
      python3 -c 'import os, sys; part = os.urandom(1 << 20); [sys.stdout.buffer.write(bytes([n]) + part[1:]) for n in range(int(sys.argv[1]))]' \
        $(((1 << (window - 20)) + 6)) >"$i/file$i"
      tar -C "$i" --owner=0 --group=0 -cf "$i.tar" . && rm -r "$i"
      layers+=("$i.tar")
    done
    make_compressed_layout "zstd -q --ultra --zstd=wlog=$window,strat=1,clog=10,hlog=10" zstd "${layers[@]}"
    serve_layout
    stays_small pull -q "$registry/app:1"
    stays_small pull -q oci:layout:test
    stop_servers
    rm -r layout registry-data
  done
}
