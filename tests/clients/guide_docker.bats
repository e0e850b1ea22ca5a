# The files and commands in moss-docker(7), Swarm's too: a daemon that has the guide's configuration, in a network of its own.
# as: root

load helpers

setup_file() {
  need dockerd docker
  is_root || skip "Docker's daemon needs root"
  make_work
  guide_block moss-docker "file: daemon.json" | sed "s|/usr/local/bin/moss-oci|$OCI_RUNTIME|" >"$work/daemon.json"
  # shellcheck disable=SC2016 # for the inner shell
  start_daemon dockerd unshare --net sh -c 'ip link set lo up && exec dockerd "$@"' sh --config-file "$work/daemon.json" \
    --host "unix://$work/d.sock" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/docker.pid" \
    --cgroup-parent "/${work##*/}" --bridge none --iptables=false --ip6tables=false --ip-forward=false --userland-proxy=false
  export DOCKER_BUILDKIT=0
  docker_client
}
setup() { cd "$BATS_TEST_TMPDIR"; }
teardown() { :; }
teardown_file() {
  [[ -n ${work-} ]] || return 0
  docker swarm leave --force >/dev/null 2>&1 || true
  end_daemon dockerd
  sleep 0.2 # for the last shims
  unmount_below "$work/exec/netns"
  remove_work
}

@test "the commands run, on the runtime of the configuration" {
  printf 'FROM alpine\nRUN echo built\n' >Dockerfile
  run sh -ec "$(guide_block moss-docker "commands: run")"
  assert_success
  [[ ${lines[0]} == moss ]]
  assert_has hello
  assert_has built
}

@test "a service's tasks run on it too" {
  local text
  text=$(guide_block moss-docker "commands: swarm")
  run sh -ec "${text%%docker service rm*}"
  assert_success
  assert_has "2/2"
  local task
  task=$(docker ps --quiet | head -n 1)
  run docker inspect --format '{{.HostConfig.Runtime}}' "$task"
  assert_output moss
  run sh -ec "docker service rm${text#*docker service rm}"
  assert_success
}
