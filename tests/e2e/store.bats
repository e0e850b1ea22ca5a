# What moss keeps: checked, measured, pruned, reset; and nothing of it left behind.

load helpers
check_store=full

# Alpine's top layer, unpacked, and its blob.
layer_folder() { find "$XDG_DATA_HOME/moss/layers" -mindepth 1 -maxdepth 1 -type d; }
largest_blob() { find "$XDG_DATA_HOME/moss/blobs/sha256" -type f -printf '%s %p\n' | sort -n | tail -1 | cut -d' ' -f2; }

# Files anywhere below the homes' folders for lasting data and for this session.
everything() { find "$XDG_DATA_HOME" "$XDG_RUNTIME_DIR" -mindepth 1; }

@test "check of a whole store says nothing" {
  run moss system check
  assert_success
  assert_output ""
  run moss system check --quick
  assert_success
  assert_output ""
}

@test "check tells what of a layer changed, and repair unpacks it anew" {
  local before
  before=$(moss run --rm --network none alpine sha256sum /etc/passwd)
  as_owner sh -c 'echo evil::0:0::/:/bin/sh >>"$1/fs/etc/passwd"; chmod 4755 "$1/fs/etc/passwd"; chown 1:1 "$1/fs/bin"' sh "$(layer_folder)"
  run moss system check
  assert_status 125
  assert_has "/etc/passwd has mode 4755, in the layer 0644"
  assert_has "/bin belongs to 1:1, in the layer to 0:0"
  assert_has "Error: damage detected in local storage"
  run moss system check --repair
  assert_success
  assert_has "anew"
  [[ $(moss run --rm --network none alpine sha256sum /etc/passwd) == "$before" ]]
  run moss system check
  assert_success
}

@test "check finds a bit that fell over in a blob, and repair drops its image" {
  printf X | dd of="$(largest_blob)" bs=1 seek=100000 conv=notrunc status=none
  run moss system check --quick
  assert_success
  run moss system check
  assert_status 125
  assert_has "image localhost/alpine:latest"
  assert_has "holds something else: sha256:"
  run moss system check -r
  assert_success
  assert_has "removed image localhost/alpine:latest"
  run moss images --quiet
  assert_output ""
  run moss system check
  assert_success
  run find "$XDG_DATA_HOME/moss/blobs" "$XDG_DATA_HOME/moss/layers" -type f
  assert_output ""
}

@test "repair keeps an image that a container has, unless it is forced" {
  moss run --name keeper --network none alpine true
  truncate -s 10 "$(largest_blob)"
  run moss system check --repair
  assert_status 125
  assert_has "kept image localhost/alpine:latest"
  assert_has "container keeper is made from it; with --force both are removed"
  assert_has "could not be repaired"
  moss inspect keeper >/dev/null
  run moss system check --force
  assert_success
  assert_has "removed container keeper"
  assert_no_containers
}

@test "check refuses what it does not know" {
  refuses "--max x: expected a time such as 24h" system check --max x
  refuses "unknown option --frob; see: moss system check --help" system check --frob
  refuses "unknown command system frob" system frob
}

@test "df counts what is there" {
  run moss system df
  assert_success
  [[ ${lines[0]} =~ ^TYPE\ +TOTAL\ +ACTIVE\ +SIZE\ +RECLAIMABLE$ ]]
  [[ ${lines[1]} =~ ^Images\ +1\ +0\ +.*\(100%\)$ ]]
  [[ ${lines[2]} =~ ^Containers\ +0\ +0\ +0B\ +0B\ \(0%\)$ ]]
  moss run --name writer --network none alpine sh -c 'head -c 100000 /dev/zero >/big; mkdir -m 700 /closed; head -c 1000 /dev/zero >/closed/f; chown -R 5:5 /closed'
  run moss system df --format json
  [[ $(jq -r '.[0].Active, .[0].RawReclaimable, .[1].Total, .[1].RawSize, .[1].RawReclaimable' <<<"$output") == $'1\n0\n1\n101000\n101000' ]] || fail "$output"
  run moss system df -v
  assert_has "Images space usage:"
  assert_has "101kB"
  [[ ${lines[1]} =~ ^REPOSITORY\ +TAG\ +IMAGE\ ID\ +CREATED\ +SIZE\ +SHARED\ SIZE\ +UNIQUE\ SIZE\ +CONTAINERS$ ]]
  [[ ${lines[2]} =~ ^localhost/alpine\ +latest\ +[0-9a-f]{12}\ .*\ 1$ ]]
  [[ ${lines[5]} =~ ^[0-9a-f]{12}\ +[0-9a-f]{12}\ +sh\ -c\ head.*/closed\ +0\ +101kB\ .*\ exited\ +writer$ ]]
  [[ ${lines[7]} =~ ^VOLUME\ NAME\ +LINKS\ +SIZE$ ]]
  run moss system df --format '{{.Type}} {{.Total}}'
  assert_output $'Images 1\nContainers 1\nLocal Volumes 0'
  refuses --format system df --format '{{.Type'
}

@test "system prune removes what nobody uses and says how much that was" {
  moss run --name ended --network none alpine sh -c 'head -c 5000 /dev/zero >/f'
  moss run -d --name running --network none alpine sleep 100
  local id
  id=$(moss inspect ended | jq -r '.[0].Id')
  run moss system prune --force --all
  assert_success
  assert_output $'Deleted Containers\n'"$id"$'\nTotal reclaimed space: 5kB'
  moss rm -f -t 0 running >/dev/null
  id=$(moss images --quiet --no-trunc)
  run moss system prune --force
  assert_output "Total reclaimed space: 0B"
  run moss system prune -a -f
  assert_has "Deleted Images"
  assert_has "${id#sha256:}"
  run moss images -q
  assert_output ""
}

@test "prune asks, and no is no" {
  run moss system prune -a <<<n
  assert_success
  assert_has $'WARNING! This command removes:\n\t- all stopped containers'
  assert_has "Are you sure you want to continue? [y/N] "
  run moss image prune --all </dev/null
  assert_has "WARNING! This command removes all images without at least one container associated with them."
  run moss images -q
  ((${#lines[@]} == 1))
  run moss image prune --all <<<y
  assert_success
  run moss images -q
  assert_output ""
}

@test "image prune removes images without a name, and what a filter says" {
  moss import -q -c 'LABEL keep=yes' "$(rootfs_tarball)" alpine >/dev/null
  run moss image prune -f --filter label=keep=yes
  assert_success
  assert_output ""
  run moss image prune -f --filter until=24h
  assert_output ""
  run moss image prune -f
  ((${#lines[@]} == 1))
  run moss image prune -a -f --filter label!=keep
  assert_output ""
  run moss image prune -a -f --filter label=keep=yes
  ((${#lines[@]} == 1))
  refuses "--filter frob=1 is not supported" image prune -f --filter frob=1
}

@test "rmi --all --force removes the containers too, and leaves no file" {
  moss run --name n --network none alpine sh -c 'mkdir -m 0 /x; chown 7:7 /x'
  run moss rmi --all --force --no-prune
  assert_success
  assert_has "Untagged: localhost/alpine:latest"
  assert_no_containers
  wait_for 10 is_removed
  run find "$XDG_DATA_HOME"/moss/{layers,blobs,locks,staging,containers,names} -mindepth 1 ! -name sha256
  assert_output ""
  run moss rmi --ignore no-such-image
  assert_success
  assert_output ""
  run moss rmi no-such-image
  assert_status 1
}

@test "reset leaves nothing, whoever owns it and whatever runs" {
  moss run -d --name running --network none alpine sleep 100
  moss run --name n --network none alpine sh -c 'mkdir -m 0 /x; chown 7:7 /x'
  moss run --rm --network none --userns keep-id alpine true
  run moss system reset <<<n
  assert_has "- all containers"
  moss inspect running >/dev/null
  run moss system reset --force
  assert_success
  [[ -z $(everything) ]] || fail "$(everything)"
  run moss images -q
  assert_output ""
}

@test "a noun in front of a verb is the same verb" {
  run moss image ls --quiet
  assert_success
  [[ $output == "$(moss images --quiet)" ]]
  run moss container ls --all --quiet
  assert_success
  run moss image rm alpine
  assert_success
  assert_has "Untagged: localhost/alpine:latest"
  run moss image --help
  assert_has "pull"
  assert_has "prune"
  refuses "unknown command image run" image run alpine
}

# Alpine's store becomes an additional one, and the own is empty.
make_additional_store() {
  mv "$XDG_DATA_HOME/moss" shared
  before=$(as_owner sh -c 'cd shared && find . -printf "%P %y %m %s %T@ %C@\n" | sort | sha256sum')
}
additional_store_is_untouched() {
  [[ $(as_owner sh -c 'cd shared && find . -printf "%P %y %m %s %T@ %C@\n" | sort | sha256sum') == "$before" ]] ||
    fail "the additional store was written to"
}

@test "images of an additional store are found, listed, inspected and run, and it is never written to" {
  make_additional_store
  export MOSS_ADDITIONAL_STORES=$PWD/shared
  run moss images --quiet
  ((${#lines[@]} == 1)) || fail "$output"
  moss inspect alpine >/dev/null
  run moss run --rm --network none --pull never alpine cat /etc/os-release
  assert_success
  # For other ids it is unpacked into the own store, from the blobs of the other, and stays there.
  run moss run --rm --network none --pull never --userns keep-id alpine stat -c %u /bin
  assert_output 0
  moss load -q -i "$(make_small small)" >/dev/null
  moss rmi small >/dev/null
  [[ -n $(layer_folder) ]]
  run moss system check --max 0s
  assert_output ""
  run moss info --format json
  [[ $(jq -r '.store.additionalImageStores[0]' <<<"$output") == "$PWD/shared" ]]
  additional_store_is_untouched
}

# A layout with one small image; prints its path.
make_small() {
  echo 1 >file && tar -cf small.tar file
  make_layout "$PWD/$1.layout" '{}' small.tar
  sed -i "s|ref.name\":\"test\"|ref.name\":\"localhost/$1:latest\"|" "$1.layout/index.json"
  echo "$PWD/$1.layout"
}

@test "images of an additional store cannot be removed, and count for nothing" {
  make_additional_store
  export MOSS_ADDITIONAL_STORES=$PWD/shared
  refuses "image localhost/alpine:latest is in the additional store $PWD/shared, which is read-only" rmi alpine
  run moss rmi --all
  assert_success
  run moss image prune --all --force
  assert_output ""
  run moss system df --format '{{.Total}}'
  assert_output $'0\n0\n0'
  # The own one of a name comes first.
  moss import -q -c CMD=own "$(rootfs_tarball)" alpine >/dev/null
  [[ $(moss inspect alpine | jq -r '.[0].Config.Cmd[-1]') == own ]]
  additional_store_is_untouched
}

@test "an image that claims more than there can be takes the most there is, and never less than nothing" {
  make_small small >/dev/null
  local manifest
  manifest=small.layout/blobs/sha256/$(jq -r '.manifests[0].digest[7:]' small.layout/index.json)
  sed 's/\("layers":.*"size":\)[0-9]*/\19223372036854775807/' "$manifest" >lie
  jq -nc --argjson m "$(add_blob small.layout lie application/vnd.oci.image.manifest.v1+json)" \
    '{schemaVersion:2,manifests:[$m + {annotations:{"org.opencontainers.image.ref.name":"localhost/lie:latest"}}]}' >small.layout/index.json
  mv "$XDG_DATA_HOME/moss" alpine.store
  mv small.layout "$XDG_DATA_HOME/moss"
  run moss system df --format '{{.RawSize}} {{.Reclaimable}}'
  assert_output $'9223372036854775807 9.223EB (100%)\n0 0B (0%)\n0 0B (0%)'
  run moss images --format '{{.Size}}'
  assert_output "9.22 EB"
  rm -r "$XDG_DATA_HOME/moss"
}

@test "storage.conf names additional stores, and Podman's own are left to it" {
  make_additional_store
  mkdir -p "$XDG_CONFIG_HOME/containers" podman/overlay-images
  printf '[storage]\ndriver = "overlay"\n[storage.options]\nadditionalimagestores = [ "%s/podman", "%s/shared/" ]\n' "$PWD" "$PWD" \
    >"$XDG_CONFIG_HOME/containers/storage.conf"
  run moss images --quiet
  ((${#lines[@]} == 1)) || fail "$output"
  echo 'additionalimagestores = 5' >other.conf
  export CONTAINERS_STORAGE_CONF=$PWD/other.conf
  run moss images --quiet
  assert_output ""
  printf '[storage.options]\nadditionalimagestores = 5\n' >other.conf
  refuses "other.conf: additionalimagestores: expected a list of folders" images
  printf '[storage' >other.conf
  refuses "other.conf:1: " images
  unset CONTAINERS_STORAGE_CONF
  MOSS_ADDITIONAL_STORES=$PWD/none refuses "MOSS_ADDITIONAL_STORES: read $PWD/none/index.json" images
  MOSS_ADDITIONAL_STORES=none refuses "none is no absolute path" images
}

@test "the images of a list are checked, counted and pruned with it" {
  image_for other s390x
  moss manifest create l alpine other >/dev/null
  moss rmi alpine other >/dev/null
  run moss system check --max 0s
  assert_success
  assert_output ""
  run moss system df --format '{{.Total}}'
  [[ ${lines[0]} == 2 ]] || fail "$output"
  # A blob of the other machine's image.
  local blob
  blob=$XDG_DATA_HOME/moss/blobs/sha256/$(sha256_of other.tar)
  printf X | dd of="$blob" bs=1 seek=520 conv=notrunc status=none
  run moss system check
  assert_status 125
  assert_has "holds something else"
  run moss system check --repair
  assert_success
  run moss system check --max 0s
  assert_output ""
}

@test "prune takes a list and all its images" {
  image_for other s390x
  moss manifest create l alpine other >/dev/null
  moss rmi alpine other >/dev/null
  run moss image prune --force --all
  assert_success
  run moss system check --max 0s
  assert_output ""
  run find "$XDG_DATA_HOME/moss/blobs" -type f
  assert_output ""
}

@test "system check looks at containers, and removes damaged ones only by force" {
  for name in record bundle layer writable whole; do moss run --name "$name" --network none alpine true; done
  moss run -d --name runs --network none alpine sleep 100 >/dev/null
  run moss system check --quick
  assert_success
  assert_output ""
  folder_of() { moss inspect --format '{{.StaticDir}}' "$1"; }
  local record bundle layer writable
  record=$(folder_of record) bundle=$(folder_of bundle) layer=$(folder_of layer) writable=$(folder_of writable)
  echo '{' >"$record/container.json"
  rm "$bundle/config.json"
  sed -i 's|/fs:|/gone:|' "$layer/config.json"
  as_owner rm -r "$writable/upper"
  ln -s 0123 "$XDG_DATA_HOME/moss/names/nobodys"
  run -125 moss system check --quick
  assert_has "container.json"
  assert_has "container bundle: open $bundle/config.json: No such file or directory"
  assert_has "container layer: layer "
  assert_has "container writable: its writable layer $writable/upper is gone"
  assert_has "the name nobodys is of no container"
  refute_has whole
  refute_has runs
  # Repair alone keeps them: what a container wrote may be all there is of it.
  run -125 moss system check --quick --repair
  assert_has "container bundle is kept; with --force it is removed"
  [[ -d $bundle ]]
  run moss system check --quick --repair --force
  assert_success
  assert_has "removed container layer"
  run moss system check --quick
  assert_output ""
  run moss ps --all --format '{{.Names}} {{.State}}' --sort names
  assert_output $'runs running\nwhole exited'
  run ls "$XDG_DATA_HOME/moss/names"
  assert_output $'runs\nwhole'
}
