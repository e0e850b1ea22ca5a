# Docker's daemon drives the runtime through containerd's shim; at its start it asks for the version.
# as: root

load helpers

setup_file() {
  need dockerd docker
  is_root || skip "Docker's daemon needs root"
  make_work
  image_archive
  start_daemon dockerd dockerd --host "unix://$work/d.sock" --data-root "$work/data" --exec-root "$work/exec" --pidfile "$work/docker.pid" \
    --cgroup-parent "/${work##*/}" --bridge none --iptables=false --ip6tables=false --ip-forward=false --ip-masq=false --userland-proxy=false \
    --add-runtime "moss=$OCI_RUNTIME" --default-runtime moss
  docker_client
}
setup() { cd "$BATS_TEST_TMPDIR"; }
teardown() { remove_docker_containers; }
teardown_file() {
  [[ -n ${work-} ]] || return 0
  end_daemon dockerd
  sleep 0.2 # for the last shims
  unmount_below "$work/exec/netns" # the daemon keeps a name of the host's network namespace there
  remove_work
}

run_alpine() { docker run --runtime moss --network none "$@"; }

# moss with a store of its own beside the daemon.
moss_here() { XDG_DATA_HOME=$work/moss DOCKER_HOST=unix://$work/d.sock moss "$@"; }

@test "moss gives the daemon its images, and takes the daemon's" {
  mkdir -p "$work/moss"
  moss_here import --quiet --change CMD=env --change ENV=A=given "$(rootfs_tarball)" mine >id
  moss_here push --quiet mine docker-daemon:example.com/mine:1
  [[ $(docker image inspect --format '{{.Id}}' example.com/mine:1) == "sha256:$(<id)" ]]
  run run_alpine --rm example.com/mine:1
  assert_has A=given
  # An image of two layers, by its name, by its id, and as an archive.
  run_alpine --name box alpine sh -c 'echo made >/made; rm /etc/motd; chown 12:34 /home'
  docker commit --change 'CMD ["cat","/made"]' box team/made:2
  docker image inspect --format '{{.Id}}' team/made:2 >theirs
  moss_here pull --quiet docker-daemon:team/made:2
  run moss_here images --noheading --no-trunc --format '{{.Repository}}:{{.Tag}} {{.ID}}' team/made
  assert_output "docker.io/team/made:2 $(<theirs)"
  run moss_here run --rm --network none --pull never team/made:2
  assert_output made
  run moss_here run --rm --network none --pull never team/made:2 sh -c 'ls /etc/motd 2>&1; stat -c "%u %g" /home'
  assert_has "No such file"
  assert_has "12 34"
  moss_here rmi team/made:2 >/dev/null
  moss_here load --quiet --input "docker-daemon:$(<theirs)" >loaded
  run moss_here run --rm --network none --pull never "$(cut -d: -f2 theirs)"
  assert_output made
  # And there again under another name: it is the same image.
  moss_here push --quiet "$(cut -d: -f2 theirs)" docker-daemon:again:3
  [[ $(docker image inspect --format '{{.Id}}' again:3) == "$(<theirs)" ]]
  run -125 moss_here pull --quiet docker-daemon:team/missing:2
  assert_has "Docker says: "
  run moss_here system check
  assert_success
  docker rmi --force example.com/mine:1 again:3 team/made:2 >/dev/null
  moss_here system reset --force
}

@test "it is this runtime that docker calls" {
  run_alpine -d --name box alpine sleep 100
  run docker inspect --format '{{.HostConfig.Runtime}}' box
  assert_output moss
  run docker info --format '{{(index .Runtimes "moss").Path}}'
  assert_output "$OCI_RUNTIME"
}

@test "run shows the output of the command and returns its exit code" {
  run run_alpine --rm alpine sh -c 'echo out; echo err >&2; exit 7'
  assert_status 7
  assert_has out
  assert_has err
  run run_alpine --rm -i alpine cat <<<"from outside"
  assert_output "from outside"
}

@test "run returns 127 for a command that is not there and 126 for one that is no program" {
  run -127 run_alpine --rm alpine no-such-command
  run -127 run_alpine --rm alpine /no/such/command
  run run_alpine --rm alpine /etc/passwd
  assert_status 126
}

@test "run returns 137 for a killed command" {
  run_alpine -d --name box alpine sleep 100
  docker kill box
  run docker wait box
  assert_output 137
}

@test "a created container starts, stops at its signal and is started again" {
  docker create --runtime moss --network none --name box alpine sh -c 'trap "exit 3" TERM; echo started; while :; do sleep 0.1; done'
  docker start box
  wait_for 5 eval '[[ $(docker logs box) == started ]]'
  docker stop --time 10 box
  run docker inspect --format '{{.State.Status}} {{.State.ExitCode}}' box
  assert_output "exited 3"
  docker restart --time 0 box
  run docker inspect --format '{{.State.Status}}' box
  assert_output running
}

@test "stop kills a container that ignores the signal" {
  run_alpine -d --name box alpine sh -c 'trap "" TERM; while :; do sleep 0.1; done'
  docker stop --time 1 box
  run docker inspect --format '{{.State.ExitCode}}' box
  assert_output 137
}

@test "exec runs in the container and returns the exit code" {
  run_alpine -d --name box --hostname inside alpine sleep 100
  run docker exec --env WORD=yes --workdir /tmp --user 7:8 box sh -c 'echo $WORD $(pwd) $(id -u):$(id -g) $(hostname); exit 9'
  assert_status 9
  assert_output "yes /tmp 7:8 inside"
  run docker exec -i box cat <<<"through exec"
  assert_output "through exec"
}

@test "exec returns 127 for a command that is not there and 126 for one that is no program" {
  run_alpine -d --name box alpine sleep 100
  # The daemon reads either from the runtime's words; 20.10 knows only runc's for a command that is not there.
  run docker exec box no-such-command
  [[ $status == 126 || $status == 127 ]] || fail "exit status $status"
  run docker exec box /etc/passwd
  assert_status 126
}

@test "run and exec have a terminal of the caller's size" {
  run on_terminal docker run -it --rm --runtime moss --network none alpine sh -c 'sleep 1; stty size; tty; exit 4'
  assert_status 4
  assert_has "30 100"
  assert_has /dev/pts/0
  run_alpine -d --name box alpine sleep 100
  run on_terminal docker exec -it box sh -c 'sleep 1; stty size; tty; exit 5'
  assert_status 5
  assert_has "30 100"
  assert_has /dev/pts/
}

@test "kill sends the signal that is named" {
  run_alpine -d --name box alpine sh -c 'trap "echo usr1" USR1; echo ready; while :; do sleep 0.1; done'
  wait_for 5 eval '[[ $(docker logs box) == ready ]]'
  docker kill --signal USR1 box
  wait_for 5 eval '[[ $(docker logs box) == *usr1* ]]'
}

@test "logs have both streams, also when the container has ended" {
  run_alpine -d --name box alpine sh -c 'echo one; echo two >&2'
  docker wait box
  run docker logs box
  assert_has one
  assert_has two
}

@test "a paused container stands still until it is resumed" {
  mkdir shared
  run_alpine -d --name box -v "$PWD/shared:/shared" alpine sh -c 'i=0; while :; do i=$((i+1)); echo $i >/shared/count; sleep 0.05; done'
  wait_for 5 test -s shared/count
  docker pause box
  run docker inspect --format '{{.State.Status}}' box
  assert_output paused
  local before
  before=$(cat shared/count)
  sleep 0.3
  [[ $(cat shared/count) == "$before" ]]
  docker unpause box
  wait_for 5 eval '[[ $(cat shared/count) != "$before" ]]'
}

@test "limits are set at the start and changed by update" {
  run_alpine -d --name box --memory 64m --memory-swap 64m --pids-limit 50 --cpus 0.5 alpine sleep 100
  local pid
  pid=$(docker inspect --format '{{.State.Pid}}' box)
  run cgroup_file memory memory.limit_in_bytes "$pid"
  assert_output $((64 << 20))
  run cgroup_file pids pids.max "$pid"
  assert_output 50
  run cgroup_file cpu cpu.cfs_quota_us "$pid"
  assert_output 50000
  docker update --memory 96m --memory-swap 96m --cpus 0.25 --pids-limit 60 box
  run cgroup_file memory memory.limit_in_bytes "$pid"
  assert_output $((96 << 20))
  run cgroup_file pids pids.max "$pid"
  assert_output 60
  run cgroup_file cpu cpu.cfs_quota_us "$pid"
  assert_output 25000
}

@test "a container over its memory is killed, and docker knows why" {
  # containerd hears of the kill and of the end by two roads, and on a busy machine the end may overtake the kill.
  local tries=0 output=''
  until [[ $output == true ]]; do
    ((++tries <= 5)) || fail "docker was not told why, in five tries"
    docker rm -f box &>/dev/null || true
    run run_alpine --name box --memory 16m --memory-swap 16m alpine sh -c 'x=$(head -c 64000000 /dev/zero | tr "\0" x); echo survived'
    assert_status 137
    run docker inspect --format '{{.State.OOMKilled}}' box
  done
}

@test "a health check tells healthy from unhealthy" {
  run_alpine -d --name box --health-cmd 'test -e /healthy' --health-interval 200ms --health-retries 1 alpine sleep 100
  wait_for 10 eval '[[ $(docker inspect --format "{{.State.Health.Status}}" box) == unhealthy ]]'
  docker exec box touch /healthy
  wait_for 10 eval '[[ $(docker inspect --format "{{.State.Health.Status}}" box) == healthy ]]'
}

@test "a restart policy starts the container again" {
  mkdir shared
  run_alpine -d --name box --restart on-failure:2 -v "$PWD/shared:/shared" alpine sh -c 'echo run >>/shared/runs; exit 1'
  wait_for 10 eval '(($(wc -l <shared/runs) == 3))'
}

@test "top lists the processes and stats has figures" {
  run_alpine -d --name box alpine sleep 1234
  run docker top box
  assert_has "sleep 1234"
  run docker stats --no-stream --format '{{.Name}} {{.MemUsage}} {{.PIDs}}' box
  assert_success
  assert_has "box "
}

@test "another container's namespaces are joined" {
  run_alpine -d --name box --ipc shareable alpine sleep 1234
  run docker run --rm --runtime moss --network container:box --pid container:box --ipc container:box alpine ps
  assert_has "sleep 1234"
}

@test "volumes, a read-only root and a tmpfs are as asked" {
  mkdir data
  echo outside >data/file
  run run_alpine --rm --read-only --tmpfs /scratch -v "$PWD/data:/data" -v "$PWD/data:/ro:ro" alpine sh -c '
    cat /data/file; echo inside >/data/new; touch /scratch/x; touch /root/x 2>/dev/null || echo root; touch /ro/x 2>/dev/null || echo ro'
  assert_output $'outside\nroot\nro'
  run cat data/new
  assert_output inside
}

@test "user, groups, capabilities and filter are as asked" {
  run run_alpine --rm --user 7:8 --group-add 9 --cap-drop all --security-opt no-new-privileges alpine \
    sh -c 'id -u; id -g; id -G; grep -E "CapBnd|NoNewPrivs|Seccomp:" /proc/self/status'
  assert_has $'7\n8\n8 9'
  assert_has $'CapBnd:\t0000000000000000'
  assert_has $'NoNewPrivs:\t1'
  assert_has $'Seccomp:\t2'
}

@test "an image is built" {
  # The classic builder runs each step with the default runtime, which is ours.
  printf 'FROM alpine\nRUN echo built >/file\n' >Dockerfile
  DOCKER_BUILDKIT=0 docker build --network none --tag built . >/dev/null
  run run_alpine --rm built cat /file
  assert_output built
}

@test "twenty containers start at once" {
  one() { [[ $(run_alpine --rm --name "c$1" alpine echo "$1") == "$1" ]]; }
  twenty one
}

@test "nothing of a removed container is left" {
  run_alpine -d --name box alpine sleep 4321
  local id
  id=$(docker inspect --format '{{.Id}}' box)
  docker rm --force box
  run find /sys/fs/cgroup -type d -name "*$id*"
  assert_output ""
  run find "$work/exec" -name "$id"
  assert_output ""
}
