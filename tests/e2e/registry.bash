# shellcheck shell=bash
# Registries for the end-to-end tests: Debian's docker-registry on a free port of 127.0.0.1, plain, with TLS, with
# passwords; an image to fill them with; and skopeo and Podman to look at them with. `load registry`, after helpers;
# what a test starts here its teardown ends.

need_registry() {
  local program
  for program in docker-registry skopeo openssl perl python3; do
    command -v "$program" >/dev/null || skip "$program is not installed"
  done
}

free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# Runs a server until the test ends.
serve() {
  "$@" 3>&- &
  servers+=($!)
}
servers=()
export registry=
export tiny_text=tiny # what is in the image of fill_registry
stop_servers() {
  ((${#servers[@]} != 0)) || return 0 # a wait for nobody is one for everybody
  kill "${servers[@]}" 2>/dev/null || true
  wait "${servers[@]}" 2>/dev/null || true
  servers=()
}

listens() { (exec 9<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# A certificate for 127.0.0.1 and registry.test, its key, and the authority that signed it: tls/{ca,server,client}.crt.
# The authority alone is in certs/, for --cert-dir.
make_certificates() {
  local name
  mkdir -p tls certs
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=ca \
    -addext basicConstraints=critical,CA:TRUE -keyout tls/ca.key -out tls/ca.crt 2>/dev/null
  cp tls/ca.crt certs
  for name in server client; do
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=$name" -keyout "tls/$name.key" \
      -out "tls/$name.csr" 2>/dev/null
    openssl x509 -req -in "tls/$name.csr" -CA tls/ca.crt -CAkey tls/ca.key -CAcreateserial -days 2 \
      -extfile <(echo subjectAltName=IP:127.0.0.1,DNS:registry.test) -out "tls/$name.crt" 2>/dev/null
  done
}

# start_registry [tls] [client] [auth]: sets $registry to HOST:PORT. "tls" makes the certificates, "client" asks for a
# client's, "auth" lets in only user "bob" with password "secret". The log of the last one is registry.log.
start_registry() {
  local attempt port tls='' auth=''
  need_registry
  if [[ " $* " == *" tls "* ]]; then
    make_certificates
    tls="tls: {certificate: $PWD/tls/server.crt, key: $PWD/tls/server.key"
    [[ " $* " == *" client "* ]] && tls+=", clientcas: [$PWD/tls/ca.crt]"
    tls=", $tls}"
  fi
  if [[ " $* " == *" auth "* ]]; then
    # bcrypt, as htpasswd -B makes it.
    # shellcheck disable=SC2016 # perl's
    printf 'bob:%s\n' "$(perl -e 'print crypt("secret", q($2y$05$abcdefghijklmnopqrstuu))')" >htpasswd
    auth="auth: {htpasswd: {realm: test, path: $PWD/htpasswd}}"
  fi
  for attempt in 1 2 3 4 5; do
    port=$(free_port)
    printf 'version: 0.1\nstorage: {filesystem: {rootdirectory: %s/registry-data}, delete: {enabled: true}}\nhttp: {addr: "127.0.0.1:%s"%s}\n%s\n' \
      "$PWD" "$port" "$tls" "$auth" >"registry-$port.yml"
    serve docker-registry serve "registry-$port.yml" >"registry-$port.log" 2>&1
    ln -sf "registry-$port.log" registry.log
    export registry=127.0.0.1:$port
    wait_for 20 listens_or_is_gone "$port" "${servers[-1]}" && kill -0 "${servers[-1]}" && return
  done
  fail "no registry: attempt $attempt:" "$(cat registry.log)"
}
listens_or_is_gone() { listens "$1" || ! kill -0 "$2" 2>/dev/null; }

# The requests a registry got: METHOD PATH STATUS.
registry_requests() { sed -n 's/.*"\([A-Z]* [^ ]*\) HTTP[^"]*" \([0-9]*\) .*/\1 \2/p' "$1"; }

# A small image as oci:tiny, and in the registry under each NAME: fill_registry [skopeo's options] -- NAME...
fill_registry() {
  local options words name
  split_at_dashes "$@"
  [[ -d tiny ]] || {
    mkdir -p tiny.root
    echo "$tiny_text" >tiny.root/hello
    tar -C tiny.root --owner=0 --group=0 -cf tiny.tar .
    make_layout tiny '{"Cmd":["x"]}' tiny.tar
  }
  for name in "${words[@]}"; do
    sk copy -q --dest-tls-verify=false "${options[@]}" oci:tiny:test "docker://$name"
  done
}

# skopeo that looks at no policy.
sk() { skopeo --insecure-policy "$@"; }

# Podman with a store below the test's folder, and storage driver $driver; it is ended with the test.
# In a mount namespace of its own, as Podman of root leaves a mount behind.
podman_here() {
  local private=()
  ((EUID != 0)) || private=(unshare --mount --propagation private)
  # Podman wants this path short.
  : "${podman_run:=$(mktemp -d /tmp/podman.XXXXXX)}"
  # shellcheck disable=SC2154 # the test's own
  "${private[@]}" podman --root "$PWD/podman" --runroot "$podman_run" --storage-driver "$driver" "$@"
}

# Podman of an ordinary user leaves a process, which holds its mounts.
end_podman() {
  local pid
  if pid=$(cat "$XDG_RUNTIME_DIR/libpod/tmp/pause.pid" 2>/dev/null); then
    kill -KILL "$pid"
    wait_for 10 test ! -e "/proc/$pid"
  fi
  [[ -z ${podman_run-} ]] || as_owner rm -rf "$podman_run"
  podman_run=
}

teardown() { registry_teardown; }
registry_teardown() {
  stop_servers
  end_podman
  e2e_teardown
}
