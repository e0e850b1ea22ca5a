# policy.json: images are used where it allows them, and signatures are real: made by skopeo, gpg and openssl.

load helpers
load registry

teardown() {
  [[ ! -d gnupg ]] || GNUPGHOME=$PWD/gnupg gpgconf --kill all
  registry_teardown
}

policy_file() { printf '%s/.config/containers/policy.json\n' "$HOME"; }

# Writes the user's policy: the requirements (JSON) of images of the registry; all else is rejected.
policy_is() {
  mkdir -p "$HOME/.config/containers"
  printf '{"default":[{"type":"reject"}],"transports":{"docker":{"%s":[%s]}}}' "$registry" "$1" >"$(policy_file)"
}

need_gpg() {
  local program
  for program in gpg gpgv gpg-agent; do
    command -v "$program" >/dev/null || skip "$program is not installed"
  done
  export GNUPGHOME=$PWD/gnupg
  mkdir -m 700 gnupg
}

# A key of GPG's for NAME, and its public half in NAME.gpg (binary) and NAME.asc.
make_key() {
  gpg --batch --quiet --passphrase '' --quick-generate-key "$1@example.test" rsa2048 sign never
  gpg --batch --export "$1@example.test" >"$1.gpg"
  gpg --batch --armor --export "$1@example.test" >"$1.asc"
}

# Signatures lie in ./lookaside; moss and skopeo are told so by registries.d.
use_lookaside() {
  mkdir -p lookaside "$HOME/.config/containers/registries.d"
  printf 'default-docker:\n  lookaside: %s\n  lookaside-staging: file://%s/lookaside\n' "${1:-file://$PWD/lookaside}" \
    "$PWD" >"$HOME/.config/containers/registries.d/default.yaml"
}

# Copies the tiny image to NAME, signed by KEY of GPG's; more options are skopeo's.
push_signed() {
  local name=$1 key=$2
  shift 2
  fill_registry --sign-by "$key@example.test" "$@" -- "$name"
}

signed_by() { printf '{"type":"signedBy","keyType":"GPGKeys","keyPath":"%s/%s"%s}' "$PWD" "$1" "${2:+,\"signedIdentity\":$2}"; }

@test "a policy that rejects refuses pull, load and run; one that accepts does not" {
  start_registry
  fill_registry -- "$registry/app:1" "$registry/other:1"
  policy_is '{"type":"insecureAcceptAnything"}'
  run moss pull -q "$registry/app:1"
  assert_success
  policy_is '{"type":"reject"}'
  refuses "refused by the policy $(policy_file): it rejects $registry/other:1" pull -q "$registry/other:1"
  refuses "it rejects" load -q -i tiny
  refuses "it rejects" pull -q oci:tiny
  run moss run --rm --network none "$registry/other:1" true
  assert_status 125
  assert_has "it rejects $registry/other:1"
  # What is here and was trusted then is judged anew by a pull.
  refuses "it rejects" pull -q "$registry/app:1"
  run moss pull -q --signature-policy <(echo '{"default":[{"type":"insecureAcceptAnything"}]}') "$registry/other:1"
  assert_status 125
  echo '{"default":[{"type":"insecureAcceptAnything"}]}' >open.json
  run moss pull -q --signature-policy open.json "$registry/other:1"
  assert_success
  echo '{"default":[{"type":"maybe"}]}' >"$(policy_file)"
  refuses 'default[0]: unknown type "maybe"' pull -q "$registry/app:1"
}

@test "an image that skopeo signed with GPG is taken, by tag and by digest" {
  need_gpg
  start_registry
  use_lookaside
  make_key alice
  push_signed "$registry/app:1" alice
  policy_is "$(signed_by alice.asc)"
  run moss pull -q "$registry/app:1"
  assert_success
  # Podman's own reader agrees with the same files.
  skopeo --policy "$(policy_file)" --registries.d "$HOME/.config/containers/registries.d" copy -q --src-tls-verify=false \
    "docker://$registry/app:1" dir:copy
  policy_is "$(signed_by alice.gpg)"
  local digest
  digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/app:1")
  run moss pull -q "$registry/app@$digest"
  assert_success
  policy_is "{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyData\":\"$(base64 -w0 alice.gpg)\"}"
  run moss pull -q "$registry/app:1"
  assert_success
}

@test "no signature, another key, another image, another name: each is refused in one line" {
  need_gpg
  start_registry
  use_lookaside
  make_key alice
  make_key eve
  push_signed "$registry/app:1" eve
  fill_registry -- "$registry/unsigned:1"
  policy_is "$(signed_by alice.asc)"
  refuses "and there is no signature for sha256:" pull -q "$registry/unsigned:1"
  refuses "which the policy does not have" pull -q "$registry/app:1"
  # Two keys: either will do.
  policy_is "{\"type\":\"signedBy\",\"keyType\":\"GPGKeys\",\"keyPaths\":[\"$PWD/alice.asc\",\"$PWD/eve.gpg\"]}"
  run moss pull -q "$registry/app:1"
  assert_success
  moss rmi "$registry/app:1" >/dev/null
  # Both requirements: one is not met.
  policy_is "$(signed_by eve.asc),$(signed_by alice.asc)"
  refuses "which the policy does not have" pull -q "$registry/app:1"
  # Signed under another name.
  policy_is "$(signed_by eve.asc)"
  fill_registry -- "$registry/app:2"
  refuses "is for the name $registry/app:1, and the policy wants $registry/app:2" pull -q "$registry/app:2"
  policy_is "$(signed_by eve.asc '{"type":"matchRepository"}')"
  run moss pull -q "$registry/app:2"
  assert_success
  # The signature of another image put into its place.
  rm -r tiny
  local tiny_text=changed hex other
  fill_registry -- "$registry/app:3"
  hex=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/app:3")
  other=(lookaside/app@*)
  cp -r "${other[0]}" "lookaside/app@sha256=${hex#sha256:}"
  refuses "it is for another image, sha256:" pull -q "$registry/app:3"
  # A damaged one, and what is no signature at all.
  printf '\xa3\x01\x02' >"lookaside/app@sha256=${hex#sha256:}/signature-1"
  refuses "signature-1: not one good signature" pull -q "$registry/app:3"
  echo hello >"lookaside/app@sha256=${hex#sha256:}/signature-1"
  refuses "signature-1: not a signed message" pull -q "$registry/app:3"
  run moss images
  refute_has "$registry/app:3"
}

@test "a key that has expired signs nothing" {
  need_gpg
  start_registry
  use_lookaside
  gpg --batch --quiet --passphrase '' --faked-system-time 20200101T000000 --quick-generate-key old@example.test rsa2048 sign 1d
  gpg --batch --export old@example.test >old.gpg
  fill_registry -- "$registry/app:1"
  local hex
  hex=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/app:1")
  mkdir -p "lookaside/app@sha256=${hex#sha256:}"
  printf '{"critical":{"type":"atomic container signature","image":{"docker-manifest-digest":"%s"},"identity":{"docker-reference":"%s/app:1"}},"optional":{}}' \
    "$hex" "$registry" >payload
  gpg --batch --quiet --faked-system-time 20200101T010000 -u old@example.test \
    --output "lookaside/app@sha256=${hex#sha256:}/signature-1" --sign payload
  policy_is "$(signed_by old.gpg)"
  refuses "has expired" pull -q "$registry/app:1"
}

@test "signatures come from a web server too, and names are mapped to the signer's own" {
  need_gpg
  start_registry
  make_key alice
  local port
  port=$(free_port)
  use_lookaside "http://127.0.0.1:$port"
  serve python3 -m http.server --bind 127.0.0.1 --directory lookaside "$port" >/dev/null 2>web.log
  wait_for 20 listens "$port"
  push_signed "$registry/cache/app:1" alice --sign-identity vendor.test/app:1
  policy_is "$(signed_by alice.asc)"
  refuses "is for the name vendor.test/app:1" pull -q "$registry/cache/app:1"
  policy_is "$(signed_by alice.asc "{\"type\":\"remapIdentity\",\"prefix\":\"$registry/cache\",\"signedPrefix\":\"vendor.test\"}")"
  run moss pull -q "$registry/cache/app:1"
  assert_success
  policy_is "$(signed_by alice.asc '{"type":"exactReference","dockerReference":"vendor.test/app:1"}')"
  run moss pull -q "$registry/cache/app:1"
  assert_success
  grep -q 'GET /cache/app@sha256=[0-9a-f]*/signature-1 HTTP/1.1" 200' web.log
}

# A signature as cosign makes it, of NAME:TAG with the private key KEY, for the digest $3 and the name $4.
cosign_signature() {
  local repository=$1 key=$2 digest=$3 name=$4
  printf '{"critical":{"identity":{"docker-reference":"%s"},"image":{"docker-manifest-digest":"%s"},"type":"cosign container image signature"},"optional":null}' \
    "$name" "$digest" >payload
  rm -rf cosign
  mkdir -p cosign/blobs/sha256
  printf '{}' >cosign.config
  printf '{"schemaVersion":2,"mediaType":"application/vnd.oci.image.manifest.v1+json","config":%s,"layers":[%s]}' \
    "$(add_blob cosign cosign.config application/vnd.oci.image.config.v1+json)" \
    "$(add_blob cosign payload application/vnd.dev.cosign.simplesigning.v1+json |
      jq -c --arg s "$(openssl dgst -sha256 -sign "$key" payload | base64 -w0)" '. + {annotations: {"dev.cosignproject.cosign/signature": $s}}')" >manifest
  python3 - "http://$registry/v2/$repository" "sha256-${digest#sha256:}.sig" cosign/blobs/sha256/* <<'PYTHON'
import hashlib, sys, urllib.request
base, tag, *blobs = sys.argv[1:]
def send(method, url, data, kind):
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": kind})
    return urllib.request.urlopen(request)
for path in blobs:
    data = open(path, "rb").read()
    place = send("POST", base + "/blobs/uploads/", b"", "application/octet-stream").headers["Location"]
    join = "&" if "?" in place else "?"
    send("PUT", f"{place}{join}digest=sha256:{hashlib.sha256(data).hexdigest()}", data, "application/octet-stream")
send("PUT", f"{base}/manifests/{tag}", open("manifest", "rb").read(), "application/vnd.oci.image.manifest.v1+json")
PYTHON
}

sigstore_signed() { printf '{"type":"sigstoreSigned","keyPath":"%s/%s","signedIdentity":{"type":"%s"}}' "$PWD" "$1" "${2:-matchRepository}"; }

# (skopeo and Podman of Debian 12 are built without sigstore, so there is no peer to ask here.)
@test "cosign's signatures are looked for in the registry and verified with a public key" {
  start_registry
  local kind digest
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ec.key 2>/dev/null
  openssl genpkey -algorithm RSA -out rsa.key 2>/dev/null
  for kind in ec rsa; do openssl pkey -in "$kind.key" -pubout -out "$kind.pub"; done
  mkdir -p "$HOME/.config/containers/registries.d"
  printf 'docker:\n  %s:\n    use-sigstore-attachments: true\n' "$registry" >"$HOME/.config/containers/registries.d/r.yaml"
  fill_registry -- "$registry/app:1"
  digest=$(skopeo inspect --tls-verify=false --format '{{.Digest}}' "docker://$registry/app:1")
  policy_is "$(sigstore_signed ec.pub)"
  refuses "there is no signature for ${digest:0:19} beside it in the registry" pull -q "$registry/app:1"
  cosign_signature app ec.key "$digest" "$registry/app"
  run moss pull -q "$registry/app:1"
  assert_success
  policy_is "$(sigstore_signed rsa.pub)"
  refuses "it was not made with the policy's key" pull -q "$registry/app:1"
  policy_is "$(sigstore_signed ec.pub matchRepoDigestOrExact)"
  refuses "it is for the name $registry/app, and the policy wants $registry/app:1" pull -q "$registry/app:1"
  cosign_signature app rsa.key "$digest" "$registry/app:1"
  policy_is "{\"type\":\"sigstoreSigned\",\"keyData\":\"$(base64 -w0 rsa.pub)\"}"
  run moss pull -q "$registry/app:1"
  assert_success
  # For another image, and under another name.
  cosign_signature app ec.key "$digest" "$registry/other"
  policy_is "$(sigstore_signed ec.pub)"
  refuses "it is for the name $registry/other" pull -q "$registry/app:1"
  sed -i 's/true/false/' "$HOME/.config/containers/registries.d/r.yaml"
  refuses "use-sigstore-attachments is not set in registries.d" pull -q "$registry/app:1"
  run moss pull -q --all-tags "$registry/app"
  assert_status 125
  refute_has .sig
}

@test "a policy without signatures asks for none" {
  start_registry
  fill_registry -- "$registry/app:1"
  policy_is '{"type":"insecureAcceptAnything"}'
  : >registry.log
  moss pull -q "$registry/app:1"
  run registry_requests registry.log
  refute_has .sig
}
