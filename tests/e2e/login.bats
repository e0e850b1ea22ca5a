# Logging in to registries, and what logins are for.

load helpers
load registry

auth_json() { printf '%s/containers/auth.json\n' "$XDG_RUNTIME_DIR"; }

# A credential helper "fake" that keeps its entries below ./kept, one file for each registry.
make_helper() {
  mkdir -p bin kept
  export PATH=$PWD/bin:$PATH KEPT=$PWD/kept
  cat >bin/docker-credential-fake <<'HELPER'
#!/bin/bash
input=$(cat)
key() { tr '/:' '__' <<<"$1"; }
case $1 in
  get) cat "$KEPT/$(key "$input")" 2>/dev/null || { echo "credentials not found in native keychain"; exit 1; } ;;
  store) printf '%s' "$input" >"$KEPT/$(key "$(jq -r .ServerURL <<<"$input")")" ;;
  erase) rm "$KEPT/$(key "$input")" ;;
  list) cd "$KEPT" && jq -s 'map({(.ServerURL): .Username}) | add // {}' * ;;
esac
HELPER
  chmod +x bin/docker-credential-fake
}

@test "a login is checked, stored and used by pull" {
  start_registry auth
  fill_registry --dest-creds bob:secret -- "$registry/app:1"
  run moss pull -q "$registry/app:1"
  assert_status 125
  assert_has "moss login $registry"
  run moss login -u bob --password-stdin "$registry" <<<secret
  assert_success
  assert_output "Login Succeeded!"
  run jq -r ".auths[\"$registry\"].auth" "$(auth_json)"
  assert_output "$(printf bob:secret | base64)"
  run moss pull -q "$registry/app:1"
  assert_success
  run moss login --get-login "$registry"
  assert_output bob
  # Podman reads the same file.
  run skopeo --insecure-policy inspect --tls-verify=false --authfile "$(auth_json)" "docker://$registry/app:1"
  assert_success
  run moss login "$registry"
  assert_success
  assert_has "Already logged in to $registry"
  run moss logout "$registry"
  assert_output "Removed login credentials for $registry"
  run moss login --get-login "$registry"
  assert_status 125
  assert_has "not logged in to $registry"
}

@test "a wrong password is refused and stored nowhere" {
  start_registry auth
  run moss login -u bob -p wrong "$registry"
  assert_status 125
  assert_has "invalid username/password"
  [[ ! -e $(auth_json) ]]
  start_registry auth
  moss login -u bob -p secret "$registry"
  run moss login -u bob -p wrong "$registry"
  assert_status 125
  run moss login --get-login "$registry"
  assert_output bob
}

@test "what is no registry is told so" {
  serve python3 -m http.server --bind 127.0.0.1 "${port:=$(free_port)}" 2>/dev/null
  wait_for 20 listens "$port"
  refuses "is not a registry: it has no /v2/" login -u bob -p x "127.0.0.1:$port"
  refuses "Failed to connect" login -u bob -p x 127.0.0.1:1
}

@test "an auth.json keeps its other entries and unknown members, and is private" {
  start_registry auth
  umask 022
  printf '{"auths":{"quay.io":{"auth":"YTpi","email":"x"}},"mine":{"deep":[1]}}' >auth.json
  chmod 644 auth.json
  run moss login --authfile auth.json -v -u bob -p secret "$registry"
  assert_success
  assert_has "Used: auth.json"
  [[ $(stat -c %a auth.json) == 600 ]]
  run jq -c '[.auths["quay.io"], .mine, (.auths | keys | length)]' auth.json
  assert_output '[{"auth":"YTpi","email":"x"},{"deep":[1]},2]'
  run moss logout --authfile auth.json "$registry"
  assert_success
  run jq -c . auth.json
  assert_output '{"auths":{"quay.io":{"auth":"YTpi","email":"x"}},"mine":{"deep":[1]}}'
  run moss logout --authfile auth.json --all
  assert_output "Removed login credentials for all registries"
  run jq -c . auth.json
  assert_output '{"auths":{},"mine":{"deep":[1]}}'
}

@test "a file that is a link stays one; one that is not JSON is not touched" {
  start_registry auth
  mkdir real
  ln -s real/auth.json link.json
  echo '{}' >real/auth.json
  REGISTRY_AUTH_FILE=$PWD/link.json moss login -u bob -p secret "$registry"
  [[ -L link.json ]]
  [[ $(jq '.auths | length' real/auth.json) == 1 ]]
  echo 'not json' >broken.json
  refuses "not a JSON object" login --authfile broken.json -u bob -p secret "$registry"
  [[ $(cat broken.json) == "not json" ]]
}

@test "logins at the same time lose none" {
  start_registry auth
  local i pids=()
  for i in 1 2 3 4 5 6 7 8; do
    moss login --authfile auth.json -u bob -p secret "$registry/repo$i" &
    pids+=($!)
  done
  wait "${pids[@]}"
  [[ $(jq '.auths | length' auth.json) == 8 ]]
}

@test "a repository's own login comes before its registry's" {
  start_registry auth
  fill_registry --dest-creds bob:secret -- "$registry/org/app:1"
  printf '{"auths":{"%s":{"auth":"%s"}}}' "$registry" "$(printf eve:wrong | base64)" >auth.json
  run moss pull -q --authfile auth.json "$registry/org/app:1"
  assert_status 125
  moss login --authfile auth.json -u bob -p secret "$registry/org"
  run moss pull -q --authfile auth.json "$registry/org/app:1"
  assert_success
  refuses "without a tag" login -u bob -p secret "$registry/org/app:1"
}

@test "a credential helper is asked, told and made to forget" {
  need_registry
  make_helper
  start_registry auth
  fill_registry --dest-creds bob:secret -- "$registry/app:1"
  printf '{"credHelpers":{"%s":"fake"}}' "$registry" >auth.json
  run moss login --authfile auth.json -v -u bob -p secret "$registry"
  assert_success
  assert_has "Used: credential helper docker-credential-fake"
  [[ $(jq -r .Secret kept/*) == secret ]]
  [[ $(cat auth.json) != *auths* ]]
  run moss login --authfile auth.json --get-login "$registry"
  assert_output bob
  run moss pull -q --authfile auth.json "$registry/app:1"
  assert_success
  moss logout --authfile auth.json "$registry"
  [[ -z $(ls kept) ]]
  printf '{"credsStore":"fake"}' >auth.json
  moss login --authfile auth.json -u bob -p secret "$registry"
  [[ $(jq -r .Username kept/*) == bob ]]
  moss logout --authfile auth.json --all
  [[ -z $(ls kept) ]]
}

@test "a helper that is missing or fails says so" {
  printf '{"credHelpers":{"reg.test":"gone","bad.test":"../x"},"credsStore":"gone"}' >auth.json
  refuses "docker-credential-gone is not in your PATH" login --authfile auth.json --get-login reg.test
  refuses "expected a name of letters and digits" login --authfile auth.json --get-login bad.test
  make_helper
  printf '#!/bin/sh\necho "the keychain is locked"\nexit 1\n' >bin/docker-credential-gone
  chmod +x bin/docker-credential-gone
  refuses "the keychain is locked" login --authfile auth.json --get-login reg.test
}

@test "Docker's logins are read and left to Docker" {
  start_registry auth
  fill_registry --dest-creds bob:secret -- "$registry/app:1"
  mkdir "$HOME/.docker"
  printf '{"auths":{"https://%s/v1/":{"auth":"%s"}}}' "$registry" "$(printf bob:secret | base64)" >"$HOME/.docker/config.json"
  run moss pull -q "$registry/app:1"
  assert_success
  run moss logout "$registry"
  assert_status 125
  assert_has "that login is in $HOME/.docker/config.json"
}

@test "the options of login exclude what makes no sense together" {
  refuses "--password-stdin needs --username" login --password-stdin reg.test
  refuses "exclude each other" login -u a -p b --password-stdin reg.test
  refuses "there is no terminal" login -u a reg.test
  refuses "--secret is not supported" login --secret x reg.test
  refuses "not logged in to reg.test" logout reg.test
  refuses "exclude each other" logout --all reg.test
  refuses "moss login --authfile /nowhere/auth.json makes it" pull -q --authfile /nowhere/auth.json reg.test/x
}
