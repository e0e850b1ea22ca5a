# Every command and every file in the guides of section 7 that can be tried here, taken from the guides themselves.
# Slurm's are in slurm.bats. There is no HTCondor and no CRI-O in Debian 12: of theirs the parts that are moss's are run.
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

@test "moss-podman(7): its configuration and its commands" {
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

@test "moss-htcondor(7): its bundle and what its job runs" {
  cp "$(rootfs_tarball)" rootfs.tar.gz
  ! is_root || skip "a job is an ordinary user's"
  commands moss-htcondor bundle
  block moss-htcondor "file: job.sub" >job.sub
  local program arguments
  program=$(sed -n 's/^executable *= *//p' job.sub)
  arguments=$(sed -n 's/^arguments *= *//p' job.sub | sed 's/$(ClusterId)/1/; s/$(ProcId)/0/')
  [[ $program == "$OCI_RUNTIME" ]]
  # shellcheck disable=SC2086 # HTCondor divides them at spaces too
  run "$program" $arguments
  assert_success
  [[ -n $output ]]
}

@test "moss-kubernetes(7): containerd knows the handler, CRI-O's file is whole, the class names the handler" {
  need containerd
  block moss-kubernetes "file: config.toml" >config.toml
  run containerd --config "$PWD/config.toml" config dump
  assert_success
  assert_has "BinaryName = \"$OCI_RUNTIME\""
  assert_has "runtimes.moss]"
  block moss-kubernetes "file: crio.conf" >crio.conf
  OCI_RUNTIME=$OCI_RUNTIME python3 - <<'END'
import os, tomllib
runtime = tomllib.load(open("crio.conf", "rb"))["crio"]["runtime"]["runtimes"]["moss"]
assert runtime["runtime_path"] == os.environ["OCI_RUNTIME"] and runtime["runtime_type"] == "oci"
END
  run block moss-kubernetes "file: runtimeclass.yaml"
  assert_has "handler: moss"
  assert_has "runtimeClassName: moss"
}
