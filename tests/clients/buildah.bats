# Buildah makes a container for each RUN with create, start, state, kill and delete, and reaps it as its own child.
# as: root user

load helpers

setup_file() {
  need buildah
  make_work
  image_archive
  cat >"$work/containers.conf" <<END
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
END
  export CONTAINERS_CONF=$work/containers.conf
  local kind=rootless
  ! is_root || kind=oci
  export BUILDAH_ISOLATION=$kind BUILDAH_RUNTIME=$OCI_RUNTIME
  make_command buildah --log-level error --root "$work/root" --runroot "$work/runroot" --storage-driver overlay
  buildah pull --quiet "oci-archive:$work/image.tar"
}
setup() { cd "$BATS_TEST_TMPDIR"; }
teardown() { buildah rm --all >/dev/null; }
teardown_file() { remove_work; }

build() { buildah bud --quiet --network none --pull-never "$@"; }

@test "run shows the output of the command and returns its exit code" {
  local container
  container=$(buildah from --pull-never localhost/alpine)
  run buildah run --network none "$container" sh -c 'echo out; exit 7'
  assert_status 7
  assert_has out
}

@test "run has stdin, environment, user and working folder" {
  local container
  container=$(buildah from --pull-never localhost/alpine)
  buildah config --env WORD=yes --workingdir /tmp --user 7:8 "$container"
  run buildah run --network none "$container" sh -c 'echo $WORD $(pwd) $(id -u):$(id -g) $(cat)' <<<"from outside"
  assert_output "yes /tmp 7:8 from outside"
}

@test "run has a terminal when asked for one" {
  local container
  container=$(buildah from --pull-never localhost/alpine)
  run on_terminal buildah run --network none --tty "$container" sh -c 'sleep 0.5; stty size; tty; exit 4'
  assert_status 4
  assert_has "30 100"
  assert_has /dev/pts/0
}

@test "a command that is not there is told, and fails the run" {
  local container
  container=$(buildah from --pull-never localhost/alpine)
  buildah run --network none "$container" true
  run buildah run --network none "$container" no-such-command
  ((status != 0))
  [[ $output =~ (not found|[Nn]o such file) ]]
}

@test "a Containerfile is built, and what one RUN wrote the next one finds" {
  printf 'FROM localhost/alpine\nRUN echo built >/file && chown 7:8 /file\nRUN test "$(stat -c %%u:%%g /file)" = 7:8\nUSER 7\nRUN id -u >/tmp/who\n' >Containerfile
  build --tag built .
  local container
  container=$(buildah from --pull-never localhost/built)
  run buildah run --network none "$container" cat /file /tmp/who
  assert_output $'built\n7'
}

@test "a failing RUN fails the build with its exit code" {
  printf 'FROM localhost/alpine\nRUN exit 9\n' >Containerfile
  run build --tag broken .
  assert_status 9
}

@test "RUN has cache, bind and secret mounts" {
  echo secret >secret
  echo context >file
  cat >Containerfile <<'END'
FROM localhost/alpine
RUN --mount=type=bind,source=file,target=/context cat /context >/out
RUN --mount=type=secret,id=s cat /run/secrets/s >>/out
RUN --mount=type=tmpfs,target=/scratch touch /scratch/x && echo tmpfs >>/out
END
  build --secret id=s,src=secret --tag mounts .
  local container
  container=$(buildah from --pull-never localhost/mounts)
  run buildah run --network none "$container" cat /out
  assert_output $'context\nsecret\ntmpfs'
}

@test "nothing of a run is left" {
  local container
  container=$(buildah from --pull-never localhost/alpine)
  buildah run --network none "$container" true
  run find /sys/fs/cgroup -type d -name "buildah-*"
  assert_output ""
}
