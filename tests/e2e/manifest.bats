# Lists of images for several platforms: made, changed, pushed, and read by others.

load helpers
load registry

teardown() {
  stop_servers
  e2e_teardown
}

own_arch() { moss inspect alpine | jq -r '.[0].Architecture'; }
digest_of_image() { moss inspect "$1" | jq -r '.[0].Digest'; }
store_picture() { (cd "$XDG_DATA_HOME/moss" && find blobs staging -type f | sort); }

is_as_before() { [[ $(store_picture) == "$1" ]]; }
# Its manifest, config and layer.
only_alpine_is_left() { wait_for 20 is_removed && (($(find "$XDG_DATA_HOME/moss/blobs" -type f | wc -l) == 3)) || fail "$(cat "$XDG_DATA_HOME/moss/index.json")"; }

two_images() {
  image_for own "$(own_arch)"
  image_for other s390x
}

@test "what cannot be is told" {
  refuses "which list" manifest create
  refuses "no list of that name" manifest push nothing
  refuses "no list of that name" manifest add nothing alpine
  refuses "is an image and not a list" manifest add alpine alpine
  refuses "an image has the name" manifest create alpine
  refuses "option --artifact is not supported" manifest add --artifact l alpine
  refuses "unknown command manifest nothing" manifest nothing
  run moss manifest exists nothing
  assert_status 1
  moss manifest create l >/dev/null
  refuses "--amend" manifest create l
  refuses "NAME=VALUE" manifest add --annotation x l alpine
  refuses "not in the list" manifest remove l alpine
  refuses "neither a digest nor an image" manifest remove l no-such
  run moss manifest exists l
  assert_success
  run moss manifest --help
  assert_has annotate
}

@test "a list is made, looked at, changed and removed" {
  two_images
  local before
  before=$(store_picture)
  moss manifest create l own >digest
  moss manifest add --variant v9 --os-version 1.2 --annotation a=b --annotation c=d l other >digest
  moss manifest inspect l >list
  [[ $(jq -r '.mediaType' list) == application/vnd.oci.image.index.v1+json ]]
  [[ $(jq -r '.manifests[].digest' list) == "$(digest_of_image own)"$'\n'"$(digest_of_image other)" ]]
  [[ $(jq -rc '.manifests[1] | [.platform.architecture, .platform.variant, .platform["os.version"], .annotations.a, .annotations.c]' list) == '["s390x","v9","1.2","b","d"]' ]]
  moss manifest annotate --arch arm64 --variant v8 --features sse4,aes l "$(digest_of_image other)" >/dev/null
  moss manifest annotate --index --annotation of=list l >/dev/null
  moss manifest annotate --subject alpine l >/dev/null
  moss manifest inspect l >list
  [[ $(jq -rc '[.annotations.of, .subject.digest, .manifests[1].platform.architecture, .manifests[1].platform.features[1]]' list) == "[\"list\",\"$(digest_of_image alpine)\",\"arm64\",\"aes\"]" ]]
  # As an image it is the one for this machine.
  run moss run --rm --network none --pull never l
  assert_output "$(own_arch)"
  run moss images --noheading
  assert_has localhost/l
  moss manifest remove l other >/dev/null
  [[ $(moss manifest inspect l | jq '.manifests | length') == 1 ]]
  moss manifest create --amend l other >/dev/null
  [[ $(moss manifest inspect l | jq '.manifests | length') == 2 ]]
  run moss manifest rm l
  assert_output "Untagged: localhost/l:latest"
  wait_for 20 is_as_before "$before"
  run moss run --rm --network none --pull never own
  assert_output "$(own_arch)"
}

@test "a list without an image for this machine is removed like any other" {
  moss manifest create nothing >/dev/null
  run moss manifest rm nothing
  assert_output "Untagged: localhost/nothing:latest"
  image_for other riscv64
  moss manifest create foreign other >/dev/null
  run moss rmi foreign
  assert_output "Untagged: localhost/foreign:latest"
  run -1 moss manifest exists foreign
  moss image exists other
}

@test "a list keeps its images when their names go" {
  two_images
  moss manifest create l own other >/dev/null
  run moss rmi own other
  assert_has "Untagged: localhost/own:latest"
  refute_has Deleted
  run moss run --rm --network none --pull never l
  assert_output "$(own_arch)"
  sk copy -q --all "oci:$XDG_DATA_HOME/moss:localhost/l:latest" oci:copy:l
  moss manifest rm l >/dev/null
  only_alpine_is_left
}

@test "all that is unused goes at once, with the lists it is in" {
  moss manifest create l alpine >/dev/null
  run moss system prune --all --force
  run -0 moss images --quiet
  assert_output ""
}

@test "a list is pushed with its images and pulled for each platform" {
  start_registry
  two_images
  moss manifest create l own other >/dev/null
  moss manifest push -q --digestfile digest l "$registry/org/l:1"
  sk inspect --tls-verify=false --raw "docker://$registry/org/l:1" >list
  [[ sha256:$(sha256_of list) == "$(cat digest)" && $(jq '.manifests | length' list) == 2 ]]
  local own other
  own=$(digest_of_image own) other=$(digest_of_image other)
  moss manifest rm l >/dev/null
  moss rmi own other >/dev/null
  moss pull -q "$registry/org/l:1"
  [[ $(digest_of_image "$registry/org/l:1") == "$own" ]]
  moss pull -q --platform linux/s390x "$registry/org/l:1"
  [[ $(digest_of_image "$registry/org/l:1") == "$other" ]]
  sk copy -q --all --src-tls-verify=false "docker://$registry/org/l:1" dir:theirs
}

@test "a list goes into files, in Docker's format, and away" {
  two_images
  moss manifest create l own other >/dev/null
  moss manifest push -q l oci:layout:l
  sk copy -q --all oci:layout:l dir:theirs
  moss push -q --all --format v2s2 l dir:ours
  [[ $(jq -r .mediaType ours/manifest.json) == application/vnd.docker.distribution.manifest.list.v2+json ]]
  sk copy -q --all dir:ours oci:again
  refuses "no lists" manifest push l docker-archive:x.tar
  # Not all: the image for this machine.
  moss push -q l oci:one
  [[ $(jq -r '.manifests[0].digest' one/index.json) == "$(digest_of_image own)" ]]
  moss manifest push -q --all=false l oci:none
  cmp none/index.json one/index.json
  moss manifest push -q --all l oci:all
  [[ $(jq -r '.manifests[0].digest' all/index.json) == "$(jq -r '.manifests[0].digest' layout/index.json)" ]]
  moss manifest push -q --rm l oci:layout:again
  run moss manifest exists l
  assert_status 1
}

@test "images of a registry are added without a name of their own" {
  start_registry
  two_images
  moss manifest create l own other >/dev/null
  moss manifest push -q l "$registry/l"
  moss manifest rm l >/dev/null
  moss rmi own other >/dev/null
  moss manifest create --all all "docker://$registry/l" >/dev/null 2>&1
  [[ $(moss manifest inspect all | jq -c '[.manifests[].platform.architecture]') == "[\"$(own_arch)\",\"s390x\"]" ]]
  moss manifest create one "$registry/l" >/dev/null 2>&1
  [[ $(moss manifest inspect one | jq -c '[.manifests[].platform.architecture]') == "[\"$(own_arch)\"]" ]]
  [[ $(moss manifest inspect "$registry/l" | jq '.manifests | length') == 2 ]]
  [[ $(jq -r '[.manifests[].annotations["org.opencontainers.image.ref.name"]] | sort | join(" ")' "$XDG_DATA_HOME/moss/index.json") == "localhost/all:latest localhost/alpine:latest localhost/one:latest" ]]
  moss manifest push -q all oci:layout
  moss manifest rm all one >/dev/null
  only_alpine_is_left
  moss manifest create new >/dev/null
  refuses "$registry/none" manifest add -q new "docker://$registry/none"
}

@test "a registry without the referrers API learns what belongs to what by a tag" {
  start_registry
  moss push -q alpine "$registry/x:1"
  local subject
  subject=$(digest_of_image alpine)
  moss manifest create sbom alpine >/dev/null
  moss manifest annotate --index --annotation kind=sbom sbom >/dev/null
  moss manifest annotate --subject alpine sbom >/dev/null
  moss manifest push -q --digestfile digest sbom "$registry/x:sbom"
  sk inspect --tls-verify=false --raw "docker://$registry/x:${subject/:/-}" >referrers
  [[ $(jq -rc '.manifests[] | [.digest, .annotations.kind]' referrers) == "[\"$(cat digest)\",\"sbom\"]" ]]
  # Once is enough.
  moss manifest push -q sbom "$registry/x:sbom"
  sk inspect --tls-verify=false --raw "docker://$registry/x:${subject/:/-}" | cmp - referrers
}

@test "two that change a list at once both do" {
  two_images
  moss manifest create l >/dev/null
  moss manifest add l own >/dev/null &
  moss manifest add l other >/dev/null &
  wait
  [[ $(moss manifest inspect l | jq '.manifests | length') == 2 ]]
}
