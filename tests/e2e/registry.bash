# shellcheck shell=bash
# Debian's docker-registry, skopeo and Podman for tests: `load registry`, after helpers.
#
# start_registry [tls] [auth] starts one on a free port of 127.0.0.1 and sets $registry to "127.0.0.1:PORT". Its files
# are in registry/, its log in registry.log, a certificate for it in certs/ca.crt. `auth` wants user "tester" and the password
# "secret". A file that uses it ends its teardown with stop_registries.

start_registry() {
  command -v docker-registry >/dev/null || skip "docker-registry is not installed"
  local tls="" auth="" word port
  for word; do
    case $word in
      tls)
        make_certificate
        tls=", tls: {certificate: $PWD/certs/ca.crt, key: $PWD/registry.key}"
        ;;
      auth)
        # bcrypt, as htpasswd -B makes it.
        perl -e 'print "tester:", crypt("secret", q($2y$04$abcdefghijklmnopqrstuu)), "\n"' >htpasswd
        auth="auth: {htpasswd: {realm: test, path: $PWD/htpasswd}}"
        ;;
      *) fail "start_registry: $word" ;;
    esac
  done
  for _ in 1 2 3 4 5; do
    port=$((20000 + RANDOM % 12000))
    registry=127.0.0.1:$port
    printf 'version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: %s/registry}, delete: {enabled: true}}\nhttp: {addr: %s%s}\n%s\n' \
      "$PWD" "$registry" "$tls" "$auth" >registry.yml
    docker-registry serve registry.yml >registry.log 2>&1 3>&- &
    registry_pids+=" $!"
    if wait_for 10 registry_answers_or_is_gone "$!" "$port" && kill -0 "$!" 2>/dev/null; then return 0; fi
  done
  fail "the registry does not start:" "$(cat registry.log)"
}

registry_answers_or_is_gone() { (exec 4<>"/dev/tcp/127.0.0.1/$2") 2>/dev/null || ! kill -0 "$1" 2>/dev/null; }

stop_registries() {
  local pid
  for pid in ${registry_pids-}; do kill "$pid" 2>/dev/null && wait "$pid" 2>/dev/null; done
  registry_pids=
}

# Its own authority: certs/ca.crt and registry.key.
make_certificate() {
  mkdir -p certs
  openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=moss-test \
    -addext subjectAltName=IP:127.0.0.1 -keyout registry.key -out certs/ca.crt 2>/dev/null
}

# skopeo that looks at no policy, and takes the certificate.
sk() { skopeo --insecure-policy "$@"; }

# Podman with a store below the test's folder, and storage driver $driver; end_podman is for when it is done.
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
