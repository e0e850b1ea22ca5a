# What happened to other engines on pull, load, unpack and the start of an image, one test a name. Layers and documents
# are hostile_images.bats', by kind; here stands what these names stand for, end to end.
# speed: slow

load helpers

setup() {
  use_home "$BATS_TEST_TMPDIR"
  rm -d "$XDG_DATA_HOME"
  as_owner cp -a "$BATS_FILE_TMPDIR/template/data" "$XDG_DATA_HOME"
  cd "$BATS_TEST_TMPDIR" || return
  make_victim victim
  victim_before=$(picture_of victim)
}

victim_is_untouched() { [[ $(picture_of victim) == "$victim_before" ]] || fail "the victim changed:" "$(picture_of victim)"; }

# An image of Alpine and the tar of folder $2, with the config's "config" member $1, called localhost/evil.
make_evil() {
  local config=$1
  shift
  (($#)) && tar -C "$1" --owner=0 --group=0 -cf evil.tar . && set -- evil.tar
  make_image evil "$config" "$@"
}

# A registry on a free port that answers as python code $1 says: it has `self`, `path`, and answer(status, body, headers).
start_registry() {
  cat >registry.py <<PYTHON
import http.server, json, os, ssl, threading
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *arguments): pass
    def answer(self, status, body=b"", **headers):
        self.send_response(status)
        for name, value in headers.items(): self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        with open("asked", "a") as out:
            out.write(f"{self.server.server_address[1]} {self.path} {self.headers.get('Authorization', '-')}\n")
        path, port, other = self.path, ports[0], ports[1]
$1
servers = [http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) for _ in range(2)]
ports = [server.server_address[1] for server in servers]
if "${other_is_tls-}":
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("cert.pem", "key.pem")
    servers[1].handle_error = lambda *_: None
    servers[1].socket = context.wrap_socket(servers[1].socket, server_side=True)
threading.Thread(target=servers[1].serve_forever, daemon=True).start()
with open("ports.new", "w") as out: out.write("%d %d\n" % tuple(ports))
os.rename("ports.new", "ports")
servers[0].serve_forever()
PYTHON
  python3 registry.py 3>&- &
  registry_pid=$!
  wait_for 20 test -e ports
  read -r port other <ports
}

teardown() {
  [[ -z ${registry_pid-} ]] || kill "$registry_pid"
  e2e_teardown
}

@test "CVE-2017-14992: an archive that is a bomb is stopped, and its disk given back" {
  mkfifo piece
  # One gigabyte of zeros in one megabyte.
  { python3 -c '
import tarfile, sys
info = tarfile.TarInfo("f"); info.size = 1 << 30
sys.stdout.buffer.write(info.tobuf())'
    head -c 1G /dev/zero; } | gzip -1 >bomb.tar.gz
  refuses bomb load -i bomb.tar.gz
  run find "$XDG_DATA_HOME/moss/staging" -mindepth 1
  assert_output ""
}

@test "CVE-2019-10214: a token server that is not https gets no credentials" {
  start_registry '        if path.startswith("/v2/app"):
            return self.answer(401, b"{}", WWW_Authenticate="Bearer realm=\"http://example.invalid/token\",service=\"s\"")
        return self.answer(200, b"{}")'
  run timeout 60 "$MOSS" pull -q --retry 0 --creds user:secret "127.0.0.1:$port/app:1"
  assert_status 125
  assert_has "example.invalid/token, which is not https"
}

@test "CVE-2020-15157: a layer's own address is never asked" {
  start_registry '        return self.answer(404)'
  make_layout layout '{}' "$(printf x >f && tar -cf f.tar f && echo f.tar)"
  local manifest
  manifest=layout/blobs/sha256/$(jq -r '.manifests[0].digest' layout/index.json | cut -d: -f2)
  rm layout/blobs/sha256/"$(jq -r '.layers[0].digest' "$manifest" | cut -d: -f2)"
  jq -c --arg u "http://127.0.0.1:$port/layer" '.layers[0] += {urls: [$u], mediaType: "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"}' "$manifest" >changed
  jq -nc --argjson m "$(add_blob layout changed application/vnd.oci.image.manifest.v1+json)" '{schemaVersion:2,manifests:[$m]}' >layout/index.json
  refuses "No such file" pull -q oci:layout
  [[ ! -e asked ]] || fail "asked:" "$(cat asked)"
}

@test "credentials do not follow a redirect to another host" { # CVE-2020-15157's kin
  start_registry '        if self.server.server_address[1] == other:
            return self.answer(404)
        if path == "/v2/":
            return self.answer(200, b"{}")
        if self.headers.get("Authorization") is None:
            return self.answer(401, b"{}", WWW_Authenticate="Basic realm=\"x\"")
        return self.answer(307, Location=f"http://127.0.0.1:{other}{path}")'
  run timeout 60 "$MOSS" pull -q --retry 0 --creds user:secret "127.0.0.1:$port/app:1"
  assert_status 125
  grep -q "^$other " asked || fail "the other host was not asked:" "$(cat asked)"
  ! grep "^$other " asked | grep -q Basic || fail "credentials went to the other host:" "$(cat asked)"
  grep -q "^$port .*Basic" asked || fail "no credentials for the registry:" "$(cat asked)"
}

@test "CVE-2020-10696, CVE-2026-46703, CVE-2026-42574: a file through a symlink of the layer stays inside" {
  ln -s "$PWD/victim" l
  tar -cf l.tar l
  rm l && mkdir l && echo bad >l/file && echo bad >l/new
  tar -rf l.tar l/file l/new
  make_layout layout '{}' l.tar
  refuses "not in this layer" pull -q oci:layout
  victim_is_untouched
}

@test "CVE-2021-20291: a layer that is no archive ends at once" {
  local content
  for content in "" x "$(head -c 600 /dev/zero | tr '\0' y)"; do
    rm -rf layout
    printf %s "$content" >bad.tar
    make_layout layout '{}' bad.tar
    run timeout 20 "$MOSS" pull -q oci:layout
    assert_status 125
  done
}

@test "CVE-2021-29136: a layer whose root is a symlink moves nothing" {
  python3 - "$PWD/victim" <<'PYTHON'
import tarfile, sys
with tarfile.open("root.tar", "w") as tar:
    for name in (".", "/"):
        link = tarfile.TarInfo(name); link.type = tarfile.SYMTYPE; link.linkname = sys.argv[1]
        tar.addfile(link)
    tar.addfile(tarfile.TarInfo("file"))
PYTHON
  make_layout layout '{}' root.tar
  refuses "must be a folder" pull -q oci:layout
  victim_is_untouched
}

@test "CVE-2021-32760: a hard link through a symlink changes no mode outside" {
  python3 - "$PWD/victim" <<'PYTHON'
import tarfile, sys
with tarfile.open("link.tar", "w") as tar:
    def add(name, type, target):
        info = tarfile.TarInfo(name); info.type = type; info.linkname = target; info.mode = 0o7777
        tar.addfile(info)
    add("s", tarfile.SYMTYPE, sys.argv[1] + "/file")
    add("h", tarfile.LNKTYPE, "s")
    add("h", tarfile.REGTYPE, "")
PYTHON
  make_layout layout '{}' link.tar
  run moss pull -q oci:layout
  victim_is_untouched
}

@test "CVE-2021-41190: what is a manifest and a list is refused, wherever it comes from" {
  start_registry '        both = {"schemaVersion": 2, "config": {}, "layers": [], "manifests": []}
        for type in ("manifest", "index"):
            if path == "/v2/app/manifests/" + type:
                kind = "application/vnd.oci.image." + type + ".v1+json"
                return self.answer(200, json.dumps({**both, "mediaType": kind}).encode(), Content_Type=kind)
        return self.answer(200, b"{}")'
  refuses ambiguous pull -q "127.0.0.1:$port/app:manifest"
  refuses ambiguous pull -q "127.0.0.1:$port/app:index"
}

@test "CVE-2022-23471, CVE-2023-25153: what a registry sends is never read whole into memory" {
  start_registry '        if path == "/v2/":
            return self.answer(200, b"{}")
        self.send_response(200)
        self.send_header("Content-Length", str(1 << 40))
        self.end_headers()
        try:
            while True: self.wfile.write(b" " * 65536)
        except OSError:
            self.close_connection = True'
  run timeout 60 /usr/bin/time -q -f %M -o memory "$MOSS" pull -q --retry 0 "127.0.0.1:$port/app:1"
  assert_status 125
  (($(tail -n1 memory) < 65536)) || fail "took $(tail -n1 memory) KiB"
}

@test "CVE-2024-3727: a digest never becomes a path or an address" {
  local digest
  start_registry '        if path.startswith("/v2/app/manifests/"):
            digest = open("digest").read()
            entry = {"mediaType": "application/vnd.oci.image.config.v1+json", "digest": digest, "size": 2}
            kind = "application/vnd.oci.image.manifest.v1+json"
            return self.answer(200, json.dumps({"schemaVersion": 2, "mediaType": kind, "config": entry, "layers": []}).encode())
        return self.answer(200, b"{}")'
  for digest in "sha256:../../../../etc/passwd" "sha256:$(printf '%064d' 0)/../x" "../x" "md5:d41d8cd98f00b204e9800998ecf8427e" "sha256:$(printf 'A%.0s' {1..64})"; do
    printf %s "$digest" >digest
    refuses digest pull -q "127.0.0.1:$port/app:1"
  done
  ! grep -q blobs asked || fail "asked for:" "$(grep blobs asked)"
}

@test "CVE-2022-1227, CVE-2019-14271, CVE-2026-41567: nothing of the image's is run to unpack or start it" {
  mkdir -p evil/{bin,usr/bin,lib,etc}
  local tool
  for tool in gzip zstd unpigz xz tar newuidmap pasta; do
    printf '#!/bin/sh\necho run >%s/victim/run\n' "$PWD" >evil/usr/bin/$tool
    chmod +x evil/usr/bin/$tool
  done
  make_evil '{"Cmd":["true"],"Env":["PATH=/usr/bin:/bin","LD_PRELOAD=/lib/evil.so","LD_LIBRARY_PATH=/lib"]}' evil
  run moss run --rm --network none evil true
  victim_is_untouched
}

@test "CVE-2024-9676: a passwd file that is a fifo, a device or a symlink out hangs nothing" {
  mkdir -p evil/etc
  mkfifo evil/etc/passwd
  make_evil '{"User":"somebody"}' evil
  run timeout 20 "$MOSS" run --rm --network none evil true
  ((status != 124 && status != 0)) || fail "status $status"
  rm evil/etc/passwd && ln -s /dev/zero evil/etc/passwd
  make_evil '{"User":"somebody"}' evil
  run timeout 20 "$MOSS" run --rm --network none evil true
  ((status != 124 && status != 0)) || fail "status $status"
  rm evil/etc/passwd && ln -s "$PWD/victim/file" evil/etc/passwd
  echo "somebody:x:0:0::/:/bin/sh" >victim/file
  make_evil '{"User":"somebody"}' evil
  run timeout 20 "$MOSS" run --rm --network none evil true
  ((status != 124 && status != 0)) || fail "status $status"
}

@test "CVE-2025-47290: what changes in the store during an unpack leads nowhere" {
  # The folder that is being filled is swapped for a symlink again and again; moss holds its descriptor.
  for ((i = 0; i < 400; i++)); do mkdir -p "tree/d$i" && echo bad >"tree/d$i/file"; done
  tar -C tree -cf tree.tar .
  make_layout layout '{}' tree.tar
  (
    while [[ ! -e stop ]]; do
      for folder in "$XDG_DATA_HOME"/moss/staging/*/layer-*; do
        [[ -d $folder && ! -L $folder && $folder != *.away ]] && mv -T "$folder" "$folder.away" 2>/dev/null && ln -s "$PWD/victim" "$folder" 2>/dev/null
      done
    done
  ) 3>&- &
  local swapper=$!
  for ((i = 0; i < 5; i++)); do
    run timeout 60 "$MOSS" pull -q oci:layout
    moss rmi -af >/dev/null 2>&1 || true
  done
  touch stop
  wait "$swapper" || true # its last rename may have found nothing
  victim_is_untouched
  wait_for 60 is_removed
  as_owner rm -rf "$XDG_DATA_HOME"/moss/staging/*
}

@test "CVE-2026-55686: a working folder that is a symlink makes nothing outside" {
  mkdir -p evil
  ln -s "$PWD/victim" evil/work
  make_evil '{"WorkingDir":"/work/new"}' evil
  run moss run --rm --network none evil pwd
  victim_is_untouched
  ln -s /proc/self/fd/3 evil/fd
  make_evil '{"WorkingDir":"/fd"}' evil
  run moss run --rm --network none evil pwd
  victim_is_untouched
}

@test "CVE-2024-21626: a working folder among descriptors is none" {
  local fd
  for fd in {3..12}; do
    make_evil "{\"WorkingDir\":\"/proc/self/fd/$fd\"}"
    run moss run --rm --network none evil pwd
    ((status != 0)) || fail "/proc/self/fd/$fd:" "$output"
  done
}

@test "CVE-2026-57231: an image's environment takes nothing of the caller's" {
  export HOST_SECRET=very-secret
  make_evil '{"Env":["HOST_SECRET","HOST_*","*","A=1"]}'
  run moss run --rm --network none evil env
  refute_has very-secret
  run moss inspect evil
  refute_has very-secret
}

@test "CVE-2026-15809: a line end in HOME or in a user's name adds no line to /etc/passwd" {
  make_evil '{"Env":["HOME=/\nevil:x:0:0::/:/bin/sh"],"User":"1234"}'
  run moss run --rm --network none evil cat /etc/passwd
  ! grep -q '^evil:' <<<"$output" || fail "$output"
  make_evil '{"User":"1234\nevil:x:0:0"}'
  run moss run --rm --network none evil cat /etc/passwd
  ((status != 0)) || fail "$output"
}

@test "CVE-2022-23648: volumes with .. or through symlinks reach nothing" {
  mkdir evil
  ln -s "$PWD/victim" evil/link
  make_evil "{\"Volumes\":{\"/../../../../..$PWD/victim\":{},\"/link/dir\":{}}}" evil
  run moss run --rm --network none evil sh -c 'cat /link/dir/file; ls /link/dir'
  refute_has precious
  victim_is_untouched
}

@test "CVE-2024-40635, CVE-2026-46680: a user beyond 32 bits is never root" {
  local user
  for user in 4294967296 2147483648 18446744073709551616 -1 0x0 "0 " +0 "1000:4294967296" 4294967295; do
    make_evil "$(jq -nc --arg u "$user" '{User:$u}')"
    run moss run --rm --network none evil id -u
    [[ $status != 0 ]] || [[ $output != 0 ]] || fail "$user became root"
  done
}

@test "CVE-2026-53488: labels and annotations steer nothing on the host" {
  make_evil "$(jq -nc --arg v "$PWD/victim" '{Cmd:["sh","-c","ls /mnt; id -u"],Labels:{"io.podman.annotations.privileged":"TRUE","org.opencontainers.image.ref.name":"localhost/alpine:latest",
    "io.podman.annotations.volumes-from":$v,"run.oci.hooks.stderr":$v,"run.oci.keep_original_groups":"1","io.containers.autoupdate":"registry","RUN":"touch \($v)/run","cdi.k8s.io/x":"vendor.com/device=all"}}')"
  run moss run --rm --network none evil
  assert_success
  assert_output 0
  run moss inspect alpine
  refute_has vendor.com
  victim_is_untouched
}

@test "containerd 2.3.1: a layer's own overlayfs attributes are gone" {
  python3 - <<'PYTHON'
import tarfile
with tarfile.open("x.tar", "w", format=tarfile.PAX_FORMAT) as tar:
    for name in ("etc", "new"):
        info = tarfile.TarInfo(name); info.type = tarfile.DIRTYPE; info.mode = 0o755
        info.pax_headers = {"SCHILY.xattr." + key: value for key, value in
                            (("user.overlay.redirect", "/root"), ("user.overlay.opaque", "y"), ("trusted.overlay.opaque", "y"))}
        tar.addfile(info)
PYTHON
  make_image evil '{}' x.tar
  run moss run --rm --network none evil sh -c 'cat /etc/os-release /etc/passwd >/dev/null && ls /new'
  assert_success
  assert_output ""
}

@test "CVE-2016-8867: the capabilities of an image's user are not ambient" {
  make_evil '{"User":"1000"}'
  run moss run --rm --network none evil grep -E 'Cap(Inh|Prm|Eff|Amb)' /proc/self/status
  assert_success
  [[ $(grep -c 0000000000000000 <<<"$output") == 4 ]] || fail "$output"
}

@test "CVE-2021-41091, CVE-2021-41103, CVE-2024-25621: what moss keeps is closed to other users, whatever a layer and the umask say" {
  mkdir evil && chmod 777 evil && cp /bin/true evil/setuid && chmod 4755 evil/setuid
  rm -rf "$XDG_DATA_HOME/moss"
  umask 000
  make_evil '{"Cmd":["sleep","1000"]}' evil
  moss run -d --name one --network none evil >/dev/null
  moss commit --quiet one kept >/dev/null
  moss save -q -o saved.tar kept
  umask 022
  # Everything is below these two.
  [[ $(stat -c %a "$XDG_DATA_HOME/moss") == 700 ]] || fail "$(stat "$XDG_DATA_HOME/moss")"
  [[ $(stat -c %a "$XDG_RUNTIME_DIR/moss") == 700 ]] || fail "$(stat "$XDG_RUNTIME_DIR/moss")"
  find "$XDG_DATA_HOME" "$XDG_RUNTIME_DIR" -mindepth 1 -maxdepth 1 ! -name moss >others
  [[ ! -s others ]] || fail "beside the store:" "$(cat others)"
  [[ $(stat -c %a "$XDG_DATA_HOME"/moss/layers/*/fs/setuid) == 4755 ]]
}

@test "a command, signal or port of the image's is data, never an option" { # rows 88 to 90 and 92 of hostile images
  make_evil '{"Cmd":["--privileged"]}'
  run -127 moss run --rm --network none evil
  make_evil '{"Cmd":["true"],"StopSignal":"9999"}'
  run moss run --rm --network none evil
  [[ $status == 0 || $output == *9999* ]] || fail "$output"
  make_evil '{"Cmd":["true"],"ExposedPorts":{"80/tcp;touch x":{},"-p 22":{}}}'
  run moss run --rm --network none evil
  [[ $status == 0 || $output == *80/tcp* ]] || fail "$output"
  make_evil '{"Cmd":["true"],"Healthcheck":{"Test":["CMD-SHELL","touch /x"]},"OnBuild":["RUN touch /x"]}'
  run moss run --rm --network none evil ls /x
  ((status != 0))
}

@test "CVE-2019-10214: a token server that nobody vouches for is told nothing" {
  command -v openssl >/dev/null || skip "openssl is not installed"
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=127.0.0.1 \
    -addext subjectAltName=IP:127.0.0.1 -keyout key.pem -out cert.pem 2>/dev/null
  other_is_tls=yes start_registry '        if self.server.server_address[1] == other:
            return self.answer(200, b"{\"token\":\"very-secret\"}")
        return self.answer(401, b"{}", WWW_Authenticate=f"Bearer realm=\"https://127.0.0.1:{other}/token\",service=\"s\"")'
  run timeout 60 "$MOSS" pull -q --retry 0 --creds user:very-secret "127.0.0.1:$port/app:1"
  assert_status 125
  assert_has certificate
  refute_has very-secret
  ! grep "^$other " asked || fail "it was asked for a token"
  # With its certificate it is, so the test is one.
  mkdir known && cp cert.pem known/ca.crt
  run timeout 60 "$MOSS" pull -q --retry 0 --creds user:very-secret --cert-dir known "127.0.0.1:$port/app:1"
  assert_status 125
  grep -q "^$other /token" asked || fail "never asked:" "$(cat asked)" "$output"
  refute_has very-secret # CVE-2019-13509: nor what it answered
}

@test "a redirect that turns in circles, to a file or to another scheme ends at once" {
  start_registry '        if path.startswith("/v2/circle"):
            return self.answer(307, Location=path)
        if path.startswith("/v2/file"):
            return self.answer(307, Location="file:///etc/passwd")
        if path.startswith("/v2/gopher"):
            return self.answer(307, Location="gopher://127.0.0.1:1/x")
        if path.startswith("/v2/line"):
            return self.answer(307, Location="http://127.0.0.1:%d/a%%0d%%0aX-Evil:1" % port)
        return self.answer(404)'
  refuses "too many redirects" pull -q --retry 0 "127.0.0.1:$port/circle:1"
  refuses "not https" pull -q --retry 0 "127.0.0.1:$port/file:1"
  refuses "not https" pull -q --retry 0 "127.0.0.1:$port/gopher:1"
  refuses "manifest unknown" pull -q --retry 0 "127.0.0.1:$port/line:1"
}

@test "a list of tags that never ends, is too long or has no names is bounded" {
  start_registry '        if path.startswith("/v2/circle/tags"):
            return self.answer(200, b"{\"tags\":[\"a\"]}", Link="</v2/circle/tags/list?last=a>; rel=\"next\"")
        if path.startswith("/v2/elsewhere/tags"):
            return self.answer(200, b"{\"tags\":[\"a\"]}", Link=f"<http://127.0.0.1:{other}/v2/x/tags/list>; rel=\"next\"")
        if path.startswith("/v2/many/tags"):
            return self.answer(200, json.dumps({"tags": ["1.0.%d-with-a-long-name" % i for i in range(90000)]}).encode())
        if path.startswith("/v2/brackets/tags"):
            return self.answer(200, b"{\"tags\":" + b"[" * 8000000)
        if path.startswith("/v2/more/tags"):
            return self.answer(200, b"{\"tags\":[" + b"\"a\"," * 2000000 + b"\"a\"]}")
        if path.startswith("/v2/endless/tags"):
            return self.answer(200, b"{\"tags\":[\"" + b"a" * 9000000 + b"\"]}")
        if path.startswith("/v2/evil/tags"):
            return self.answer(200, json.dumps({"tags": ["../../x", "a\nb", "\x1b[31mred", "--privileged"]}).encode())
        return self.answer(404)'
  list() { timeout 60 /usr/bin/time -q -f %M -o memory "$MOSS" search --list-tags --limit 10000 "127.0.0.1:$port/$1"; }
  local name
  for name in circle brackets more endless; do
    run list "$name"
    assert_status 125
    ((${#lines[@]} == 1)) || fail "$name:" "$output"
    (($(tail -n1 memory) < 65536)) || fail "$name took $(tail -n1 memory) KiB"
  done
  # Nobody else is asked for the rest.
  run list elsewhere
  assert_success
  ! grep "^$other " asked || fail "the other host was asked"
  # One that does not know pages sends all at once.
  run list many
  assert_success
  assert_has 1.0.9999-with-a-long-name
  (($(tail -n1 memory) < 65536)) || fail "took $(tail -n1 memory) KiB"
  run timeout 60 "$MOSS" pull -q --retry 0 --all-tags "127.0.0.1:$port/evil"
  assert_status 125
  ! grep -q 'evil/manifests/[^1]*\.\.' asked || fail "$(cat asked)"
  [[ $output != *$'\x1b'* ]] || fail "an escape reaches the terminal"
}

@test "CVE-2023-38039: headers, errors and interim answers that never end are cut off" {
  start_registry '        def endless(first, more):
            self.close_connection = True
            try:
                self.wfile.write(first)
                while True: self.wfile.write(more * 1000)
            except OSError: pass
        name = path.split("/")[2]
        if name == "headers":
            return endless(b"HTTP/1.1 200 OK\r\n", b"X-A: " + b"b" * 60 + b"\r\n")
        if name == "interim":
            return endless(b"", b"HTTP/1.1 100 Continue\r\nX-A: b\r\n\r\n")
        if name == "line":
            return endless(b"HTTP/1.1 200 OK\r\nX-A: ", b"b" * 60)
        if name == "error":
            return endless(b"HTTP/1.1 404 Not Found\r\n\r\n", b"x" * 60)
        if name == "redirect":
            return endless(b"HTTP/1.1 307 Go\r\nLocation: /v2/error/manifests/1\r\n\r\n", b"x" * 60)
        if name == "login":
            return endless(b"HTTP/1.1 401 No\r\nWWW-Authenticate: Basic realm=\"x\"\r\n\r\n", b"x" * 60)
        return self.answer(404)'
  local name
  for name in headers interim line error redirect login; do
    run timeout 30 /usr/bin/time -q -f %M -o memory "$MOSS" pull -q --retry 0 --creds a:b "127.0.0.1:$port/$name:1"
    assert_status 125
    (($(tail -n1 memory) < 65536)) || fail "$name took $(tail -n1 memory) KiB"
  done
}
