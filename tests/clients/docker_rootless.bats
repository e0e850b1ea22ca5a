# Rootless Docker: its own script starts the daemon in a user namespace of rootlesskit's, and there it drives the runtime,
# as a root that is none. Where the host gives users no cgroups the daemon asks for none. scripts/vm-tests runs it with
# systemd's cgroups.
# as: user

load helpers

script=/usr/share/docker.io/contrib/dockerd-rootless.sh

setup_file() {
  need dockerd docker rootlesskit newuidmap "$script"
  make_work
  # A network namespace of the daemon's own needs /dev/net/tun for its way out; without one it has no bridge to make.
  local network=host options=(--bridge none)
  if [[ -w /dev/net/tun ]]; then
    network=slirp4netns
    options=()
  fi
  mkdir -p "$HOME/.config/docker"
  guide_block moss-docker "file: daemon.json" | sed "s|/usr/local/bin/moss-oci|$OCI_RUNTIME|" >"$HOME/.config/docker/daemon.json"
  DOCKERD_ROOTLESS_ROOTLESSKIT_NET=$network start_daemon dockerd "$script" --host "unix://$work/d.sock" --data-root "$work/data" \
    --exec-root "$work/exec" --pidfile "$work/docker.pid" --iptables=false --ip6tables=false "${options[@]}"
  docker_client
}
setup() { cd "$BATS_TEST_TMPDIR"; }
teardown() { remove_docker_containers; }
teardown_file() {
  [[ -n ${work-} ]] || return 0
  end_daemon dockerd
  sleep 0.5 # for the last shims, and slirp4netns
  remove_work
}

run_alpine() { docker run --network none "$@"; }

@test "the daemon is rootless and calls this runtime" {
  run docker info --format '{{.DefaultRuntime}} {{(index .Runtimes "moss").Path}} {{.SecurityOptions}}'
  assert_has "moss $OCI_RUNTIME"
  assert_has rootless
  run_alpine -d --name box alpine sleep 100
  run stat -c %u "/proc/$(docker inspect --format '{{.State.Pid}}' box)"
  assert_output "$(id -u)"
}

@test "run shows the output of the command and returns its exit code" {
  run run_alpine --rm alpine sh -c 'echo out; echo err >&2; exit 7'
  assert_status 7
  assert_has out
  assert_has err
  run run_alpine --rm -i alpine cat <<<"from outside"
  assert_output "from outside"
  run -127 run_alpine --rm alpine no-such-command
  run run_alpine --rm alpine /etc/passwd
  assert_status 126
}

@test "a created container starts, stops at its signal and is started again" {
  docker create --network none --name box alpine sh -c 'trap "exit 3" TERM; echo started; while :; do sleep 0.1; done'
  docker start box
  wait_for 10 eval '[[ $(docker logs box) == started ]]'
  docker stop --time 10 box
  run docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' box
  assert_output "exited 3"
  docker restart --time 0 box
  docker kill box
  run docker wait box
  assert_output 137
}

@test "exec and a terminal" {
  run_alpine -d --name box alpine sleep 100
  run docker exec --env WORD=yes --workdir /tmp --user 7:8 box sh -c 'echo $WORD $(pwd) $(id -u):$(id -g); exit 9'
  assert_status 9
  assert_output "yes /tmp 7:8"
  run on_terminal docker exec -it box sh -c 'sleep 1; stty size; tty; exit 5'
  assert_status 5
  assert_has "30 100"
  assert_has /dev/pts/
}

@test "volumes, users and capabilities are as asked, and the host's secrets stay closed" {
  mkdir data
  echo outside >data/file
  run run_alpine --rm --user 7:8 --group-add 9 --cap-drop all -v "$PWD/data:/data:ro" alpine \
    sh -c 'cat /data/file; id -u; id -G; grep CapBnd /proc/self/status; touch /data/x 2>/dev/null || echo ro'
  assert_output $'outside\n7\n8 9\nCapBnd:\t0000000000000000\nro'
  run run_alpine --rm --privileged -v /etc:/host-etc:ro alpine head -n 1 /host-etc/shadow
  assert_status 1
  assert_has "Permission denied"
}

@test "an image is built, and ten containers start at once" {
  printf 'FROM alpine\nRUN echo built >/file\n' >Dockerfile
  DOCKER_BUILDKIT=0 docker build --network none --tag built . >/dev/null
  run run_alpine --rm built cat /file
  assert_output built
  local i pids=()
  for i in {1..10}; do
    run_alpine --rm alpine true 3>&- &
    pids+=($!)
  done
  for i in "${pids[@]}"; do wait "$i"; done
}
