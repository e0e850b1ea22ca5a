# moss-podman(7): its configuration and its commands, taken from the page.
# as: root user

load helpers

setup_file() {
  need podman buildah
  make_work
  image_archive
}
setup() { cd "$BATS_TEST_TMPDIR"; }
teardown() { :; }
teardown_file() { remove_work; }

# A block of a guide with the runtime where it is.
block() { guide_block "$1" "$2" | sed "s|/usr/local/bin/moss-oci|$OCI_RUNTIME|g; s|^moss-oci \([^=]\)|$OCI_RUNTIME \1|"; }
commands() { sh -ec "$(block "$1" "commands: $2")"; }

@test "its configuration, and its commands for one run and for every one" {
  # What podman needs to live here, beside what the guide says: folders of its own, no network, limits that this root has.
  mkdir home tmp
  export CONTAINERS_STORAGE_CONF=$PWD/storage.conf CONTAINERS_CONF=$PWD/containers.conf
  printf '[storage]\ndriver = "overlay"\ngraphroot = "%s/root"\nrunroot = "%s/runroot"\n' "$PWD" "$PWD" >storage.conf
  {
    block moss-podman "file: containers.conf" | sed "/^\[engine\]/r /dev/fd/3" 3< <(block moss-podman "file: without-systemd"; echo "tmp_dir = \"$PWD/tmp\"")
    printf '[containers]\nnetns = "none"\ndefault_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]\n'
  } >containers.conf
  podman load --quiet --input "$work/image.tar"
  podman tag localhost/alpine docker.io/library/alpine
  echo 'FROM docker.io/library/alpine' >Containerfile
  echo 'RUN echo built' >>Containerfile
  local once every
  once=$(block moss-podman "commands: once")
  is_root || once=${once/--isolation oci/--isolation rootless}
  run sh -ec "${once/buildah bud/buildah bud --network none}"
  assert_success
  assert_has hello
  assert_has built
  run commands moss-podman every
  assert_success
  assert_has moss-oci
  assert_has hello
  podman image rm --all --force >/dev/null
  as_owner rm -rf root runroot
}
