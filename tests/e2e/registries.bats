# Pulling from real registries: TLS, proxies, mirrors, tags, policies, searching.

load helpers
load registry

@test "TLS wants an authority it knows: certs.d, --cert-dir, or --tls-verify=false" {
  start_registry tls
  fill_registry -- "$registry/app:1"
  run moss pull -q "$registry/app:1"
  assert_status 125
  assert_has "certs.d/"
  run moss pull -q --tls-verify=false "$registry/app:1"
  assert_success
  mkdir own
  cp tls/ca.crt own/
  moss rmi "$registry/app:1" >/dev/null
  run moss pull -q --cert-dir own "$registry/app:1"
  assert_success
  mkdir -p "$HOME/.config/containers/certs.d/$registry"
  cp tls/ca.crt "$HOME/.config/containers/certs.d/$registry/"
  run moss pull -q "$registry/app:1"
  assert_success
  run moss search --list-tags "$registry/app"
  assert_success
  grep -q 'HTTP/2.0' registry.log || fail "it was not HTTP/2"
}

@test "a client's certificate is shown where certs.d has one" {
  start_registry tls client
  mkdir own
  cp tls/ca.crt own/
  run moss pull -q --cert-dir own "$registry/app:1"
  assert_status 125
  cp tls/client.crt own/client.cert
  refuses "its key client.key is not beside it" pull -q --cert-dir own "$registry/app:1"
  cp tls/client.key own/client.key
  fill_registry --dest-cert-dir "$PWD/own" -- "$registry/app:1"
  run moss pull -q --cert-dir own "$registry/app:1"
  assert_success
  run moss login --cert-dir own -u a -p b "$registry"
  assert_success
  refuses "No such file or directory" pull -q --cert-dir nowhere "$registry/app:1"
}

@test "proxies are used, never see credentials, and are not asked for this machine" {
  start_registry tls auth
  fill_registry --dest-creds bob:secret -- "$registry/app:1"
  local proxy
  proxy=$(free_port)
  serve python3 "$BATS_TEST_DIRNAME/connect_proxy.py" "$proxy" proxy.log "${registry#*:}"
  wait_for 20 listens "$proxy"
  HTTPS_PROXY=http://user:pw@127.0.0.1:$proxy run moss pull -q --cert-dir certs --creds bob:secret registry.test/app:1
  assert_success
  grep -q '^CONNECT registry.test:443 ' proxy.log
  grep -qi '^Proxy-Authorization: Basic ' proxy.log
  run grep -ci '^Authorization:' proxy.log
  assert_output 0
  : >proxy.log
  HTTPS_PROXY=http://127.0.0.1:$proxy run moss pull -q --cert-dir certs --creds bob:secret "$registry/app:1"
  assert_success
  [[ ! -s proxy.log ]] || fail "this machine was reached through the proxy"
  HTTPS_PROXY=http://127.0.0.1:$proxy NO_PROXY=registry.test run moss pull -q --cert-dir certs registry.test/app:1
  assert_status 125
  [[ ! -s proxy.log ]] || fail "NO_PROXY was not heard"
}

@test "HTTP_PROXY counts for plain HTTP" {
  start_registry
  fill_registry -- "$registry/app:1"
  local proxy
  proxy=$(free_port)
  serve python3 "$BATS_TEST_DIRNAME/connect_proxy.py" "$proxy" proxy.log "${registry#*:}"
  wait_for 20 listens "$proxy"
  HTTP_PROXY=http://127.0.0.1:$proxy run moss pull -q --tls-verify=false registry.test/app:1
  assert_success
  grep -q '^GET http://registry.test/v2/app/manifests/1 ' proxy.log
}

@test "an image that is here and unchanged costs one request" {
  start_registry
  fill_registry -- "$registry/app:1"
  moss pull -q "$registry/app:1"
  : >registry.log
  run moss pull -q "$registry/app:1"
  assert_success
  run registry_requests registry.log
  assert_output "GET /v2/app/manifests/1 200"
  run moss pull --format json "$registry/app:1"
  assert_has '"status":"unchanged"'
}

@test "what is pulled inside of moss unshare is there outside" {
  start_registry
  fill_registry -- "$registry/app:1"
  unset XDG_CACHE_HOME
  run moss unshare "$MOSS" pull -q "$registry/app:1"
  assert_success
  run moss images --noheading
  assert_has "$registry/app"
}

@test "--all-tags pulls every tag; several names are pulled whatever becomes of one" {
  start_registry
  fill_registry -- "$registry/app:1" "$registry/app:2" "$registry/other:1"
  run moss pull -q --all-tags "$registry/app"
  assert_success
  run moss images
  assert_has "$registry/app"
  run moss inspect --type image "$registry/app:2"
  assert_success
  refuses "write it without a tag" pull --all-tags "$registry/app:1"
  run moss pull -q "$registry/no:1" "$registry/other:1"
  assert_status 125
  assert_has "manifest unknown"
  run moss inspect --type image "$registry/other:1"
  assert_success
}

@test "--policy says when the registry is asked" {
  start_registry
  fill_registry -- "$registry/app:1"
  refuses "the policy is never to ask a registry" pull --policy never "$registry/app:1"
  run moss pull -q --policy missing "$registry/app:1"
  assert_success
  : >registry.log
  moss pull -q --policy missing "$registry/app:1"
  moss pull -q --policy never "$registry/app:1"
  run registry_requests registry.log
  assert_output ""
  rm -r tiny
  local tiny_text=newer first
  first=$(moss images -q --no-trunc "$registry/app:1")
  fill_registry -- "$registry/app:1"
  moss pull -q --policy newer "$registry/app:1"
  [[ $(moss images -q --no-trunc "$registry/app:1") != "$first" ]] || fail "not pulled anew"
  stop_servers
  run moss pull -q --policy newer "$registry/app:1"
  assert_success
  run moss pull -q --retry 0 "$registry/app:1"
  assert_status 125
  refuses "expected always, missing, newer or never" pull --policy sometimes "$registry/app:1"
}

@test "--format json is lines of JSON and nothing else" {
  start_registry
  fill_registry -- "$registry/app:1"
  moss pull --format json "$registry/app:1" >out 2>err
  [[ ! -s err ]]
  run jq -r .status out
  assert_success
  [[ ${lines[0]} == trying && ${lines[-1]} == pulled ]]
  run jq -r 'select(.status == "done") | .current == .total' out
  assert_output true
  refuses "expected json" pull --format yaml "$registry/app:1"
  refuses "not supported" pull --decryption-key k "$registry/app:1"
  refuses "expected a time" pull --retry-delay soon "$registry/app:1"
  run moss pull -q --disable-content-trust --retry-delay 1s --variant v8 --arch amd64 "$registry/app:1"
  assert_success
}

@test "mirrors are asked first, get no credentials of the registry's, and may be for digests alone" {
  start_registry auth
  local main=$registry mirror
  fill_registry --dest-creds bob:secret -- "$main/org/app:1" "$main/org/only-there:1"
  start_registry
  mirror=$registry
  fill_registry -- "$mirror/cache/app:1"
  mkdir -p "$HOME/.config/containers/registries.conf.d"
  printf '[[registry]]\nprefix = "%s/org"\nlocation = "%s/org"\n[[registry.mirror]]\nlocation = "%s/cache"\n' \
    "$main" "$main" "$mirror" >"$HOME/.config/containers/registries.conf.d/mirror.conf"
  run moss pull -q --creds bob:secret "$main/org/app:1"
  assert_success
  run moss images
  assert_has "$main/org/app"
  run registry_requests registry.log
  assert_has "GET /v2/cache/app/manifests/1 200"
  run moss pull -q --creds bob:secret "$main/org/only-there:1"
  assert_success
  sed -i '1a mirror-by-digest-only = true' "$HOME/.config/containers/registries.conf.d/mirror.conf"
  : >registry.log
  run moss pull -q --creds bob:secret "$main/org/app:1"
  assert_success
  run registry_requests registry.log
  assert_output ""
}

@test "a mirror that wants a login is shown its own, not what is for the registry" {
  start_registry auth
  local main=$registry mirror
  fill_registry --dest-creds bob:secret -- "$main/org/app:1"
  start_registry auth
  mirror=$registry
  fill_registry --dest-creds bob:secret -- "$mirror/org/app:1"
  mkdir -p "$HOME/.config/containers/registries.conf.d"
  printf '[[registry]]\nlocation = "%s"\n[[registry.mirror]]\nlocation = "%s"\n' "$main" "$mirror" \
    >"$HOME/.config/containers/registries.conf.d/mirror.conf"
  # The mirror would take these, but they are not for it.
  : >registry.log
  run moss pull -q --creds bob:secret "$main/org/app:1"
  assert_success
  run registry_requests registry.log
  assert_output "GET /v2/org/app/manifests/1 401"
  moss login -u bob -p secret "$mirror"
  moss rmi "$main/org/app:1" >/dev/null
  : >registry.log
  run moss pull -q "$main/org/app:1"
  assert_success
  run registry_requests registry.log
  assert_has "GET /v2/org/app/manifests/1 200"
}

@test "search lists what a registry has" {
  start_registry
  fill_registry -- "$registry/org/alpha:1" "$registry/org/alpha:2" "$registry/beta:1"
  run moss search "$registry/alp"
  assert_success
  assert_has "NAME"
  assert_has "$registry/org/alpha"
  refute_has beta
  run moss search --format json --limit 1 "$registry/"
  assert_success
  [[ $(jq length <<<"$output") == 1 ]]
  run moss search --list-tags --format json "$registry/org/alpha"
  assert_success
  [[ $(jq -c '.[0].Tags | sort' <<<"$output") == '["1","2"]' ]]
  run moss search --format '{{.Name}}={{.Stars}}' "$registry/alp"
  assert_output "$registry/org/alpha=0"
  run moss search --filter is-official=true "$registry/alp"
  refute_has alpha
  refuses "known are is-official" search --filter x=1 "$registry/alp"
  refuses "Failed to connect" search 127.0.0.1:1/x
}

# Of Docker's hub no more than its search, on a free port; what it was asked is in hub.log.
start_hub() {
  cat >hub.py <<'END'
import http.server, json, urllib.parse
REPOSITORIES = [("alpine", "A minimal image of 5 MB, whose description is longer than a line shows", 11000, True, False),
                ("team/alpine-x", "line one\nline two \x1b[31m", 3, False, True), ("other/alpha", "", 0, False, False)]
class Handler(http.server.BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        print("GET", self.path, file=open("hub.log", "a"))
    def do_GET(self):
        url = urllib.parse.urlparse(self.path)
        status, answer = (200, {}) if url.path == "/v2/" else (404, {"errors": []})
        if url.path == "/v1/search":
            asked = dict(urllib.parse.parse_qsl(url.query))
            found = [r for r in REPOSITORIES if asked["q"] in r[0]][:int(asked["n"])]
            names = "name", "description", "star_count", "is_official", "is_automated"
            status, answer = 200, {"num_results": len(found), "results": [dict(zip(names, r)) for r in found]}
        body = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
END
  serve python3 hub.py >hub.port 2>hub.err
  wait_for 20 test -s hub.port
  hub=127.0.0.1:$(cat hub.port)
}

@test "search of docker.io asks the hub's own interface" {
  command -v python3 >/dev/null || skip "python3 is not installed"
  start_hub
  printf '[[registry]]\nprefix = "docker.io"\nlocation = "%s"\ninsecure = true\n' "$hub" >registries.conf
  export CONTAINERS_REGISTRIES_CONF=$PWD/registries.conf
  run moss search --limit 2 --format '{{.Index}} {{.Name}} {{.Stars}} {{.Official}} {{.Automated}}' alp
  assert_output $'docker.io docker.io/library/alpine 11000 [OK] \ndocker.io docker.io/team/alpine-x 3  [OK]'
  grep -qx 'GET /v1/search?q=alp&n=2' hub.log
  run moss search docker.io/library/alpine
  assert_has docker.io/library/alpine
  grep -q 'q=alpine&' hub.log
  run moss search --no-trunc alpine-x
  assert_has 'line one line two \x1b[31m'
  # Without a rule it is the hub's address, which no test reaches: a proxy that is not there says which it was.
  unset CONTAINERS_REGISTRIES_CONF
  https_proxy=http://127.0.0.1:1 run -125 moss search docker.io/alpine
  assert_has "from index.docker.io"
}

@test "search prints what Podman's prints" {
  command -v podman >/dev/null && command -v python3 >/dev/null || skip "podman or python3 is not installed"
  ((EUID != 0)) || skip "podman as root would use the machine's own store"
  start_hub
  local theirs words
  for words in '--limit 1 alp' '--format json --limit 1 alp' '--compatible --limit 1 alp' '--filter is-official alp' \
    '--filter is-official=false --limit 1 alp' '--filter stars=4 alp' nothing; do
    # shellcheck disable=SC2086 # words
    driver=vfs podman_here --log-level error search --tls-verify=false ${words/%"${words##* }"/"$hub/${words##* }"} >theirs 2>&1 || fail "podman: $(cat theirs)"
    theirs=$(cat theirs)
    # shellcheck disable=SC2086
    run moss search --tls-verify=false ${words/%"${words##* }"/"$hub/${words##* }"}
    [[ $output == "$theirs" ]] || fail "$words" "podman: $theirs" "moss: $output"
  done
  end_podman
  as_owner rm -rf podman
}

@test "short-name-mode enforcing asks for a whole name where several registries are searched" {
  mkdir -p "$HOME/.config/containers"
  printf 'unqualified-search-registries = ["a.test", "b.test"]\nshort-name-mode = "enforcing"\n' >"$HOME/.config/containers/registries.conf"
  refuses "write a.test/nothing" pull nothing
}
