# moss-kubernetes(7). What a kubelet asks of containerd for a pod of the class is asked here, by the handler's name: a
# sandbox, a container in it, limits, an exec, the end. Debian has neither a kubelet nor CRI-O: of CRI-O's part the file is
# read as it is, and the calls are made that it makes of a runtime, through conmon.
# as: root

load helpers

setup_file() {
  need containerd ctr conmon
  /usr/bin/python3 -c "import grpc" || fail "python3-grpcio is missing: scripts/setup --clients installs it"
  make_work
  local name=${work##*/}
  # The sandbox's own process has to stay.
  zcat "$(rootfs_tarball)" >"$work/rootfs.tar"
  make_layout "$work/layout" '{"Env":["PATH=/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["sleep","1000000"]}' "$work/rootfs.tar"
  sed -i 's|ref.name":"test"|ref.name":"localhost/pause:latest"|' "$work/layout/index.json"
  tar -cf "$work/image.tar" -C "$work/layout" .
  {
    # The guide's file, with the cgroup driver that there is here, and what keeps this daemon apart from others.
    guide_block moss-kubernetes "file: config.toml" | sed "s|/usr/local/bin/moss-oci|$OCI_RUNTIME|; s|SystemdCgroup = true|SystemdCgroup = false|"
    cat <<END_OF_CONFIG
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:latest"
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
[plugins."io.containerd.grpc.v1.cri".cni]
  conf_dir = "$work/cni"
[plugins."io.containerd.internal.v1.opt"]
  path = "$work/opt"
END_OF_CONFIG
  } >"$work/config.toml"
  start_daemon containerd containerd --config "$work/config.toml" --root "$work/root" --state "$work/state" --address "$work/c.sock"
  wait_for 30 eval 'ctr --address "$work/c.sock" version >/dev/null 2>&1'
  ctr --address "$work/c.sock" --namespace k8s.io images import "$work/image.tar" >/dev/null
}
setup() { cd "$BATS_TEST_TMPDIR"; }
teardown() {
  [[ -z ${pod-} ]] || { cri StopPodSandbox "{\"pod_sandbox_id\":\"$pod\"}" && cri RemovePodSandbox "{\"pod_sandbox_id\":\"$pod\"}"; } >/dev/null
}
teardown_file() {
  [[ -n ${work-} ]] || return 0
  end_daemon containerd
  sleep 0.2 # for the last shims
  unmount_below "$work"
  remove_work
}

cri() { "$BATS_TEST_DIRNAME/cri.py" "$work/c.sock" "$@"; }
handler() { guide_block moss-kubernetes "file: runtimeclass.yaml" | sed -n 's/^handler: //p'; }
# On the node's network, for a network of its own would need plugins.
sandbox() {
  jq -nc --arg work "$work" '{metadata: {name: "hello", uid: "u", namespace: "default"}, log_directory: $work,
    linux: {cgroup_parent: ("/" + ($work | split("/") | last)), security_context: {namespace_options: {network: 2}}}}'
}
# A container of the pod that runs these words.
container() {
  cri CreateContainer "$(jq -nc --arg pod "$pod" --argjson sandbox "$(sandbox)" '{pod_sandbox_id: $pod, sandbox_config: $sandbox,
    config: {metadata: {name: "c"}, image: {image: "localhost/pause:latest"}, command: $ARGS.positional, log_path: "c.log",
      linux: {resources: {cpu_period: 100000, cpu_quota: 50000, memory_limit_in_bytes: 67108864},
        security_context: {namespace_options: {network: 2}}}}}' --args -- "$@")" | jq -r .container_id
}
run_pod() { pod=$(cri RunPodSandbox "{\"config\":$(sandbox),\"runtime_handler\":\"$(handler)\"}" | jq -r .pod_sandbox_id); }
state() { cri ContainerStatus "{\"container_id\":\"$1\"}" | jq -c '[.status.state, .status.exit_code]'; }

@test "a pod of the class runs, and its container's output and exit code come back" {
  run_pod
  local id
  id=$(container sh -c 'echo hello; exit 7')
  cri StartContainer "{\"container_id\":\"$id\"}"
  wait_for 10 eval '[[ $(state "$id") == "[2,7]" ]]'
  run cat "$work/c.log"
  assert_has "stdout F hello"
  cri RemoveContainer "{\"container_id\":\"$id\"}"
}

@test "limits, update, exec and stop, by this runtime" {
  run_pod
  local id pid
  id=$(container sh -c 'trap "exit 3" TERM; while :; do sleep 0.1; done')
  cri StartContainer "{\"container_id\":\"$id\"}"
  [[ $(state "$id") == "[1,0]" ]]
  pid=$(cat "$work/state/io.containerd.runtime.v2.task/k8s.io/$id/init.pid")
  run cgroup_file memory memory.limit_in_bytes "$pid"
  assert_output 67108864
  run cgroup_file cpu cpu.cfs_quota_us "$pid"
  assert_output 50000
  cri UpdateContainerResources "{\"container_id\":\"$id\",\"linux\":{\"memory_limit_in_bytes\":100663296}}"
  run cgroup_file memory memory.limit_in_bytes "$pid"
  assert_output 100663296
  run cri ExecSync "{\"container_id\":\"$id\",\"cmd\":[\"sh\",\"-c\",\"echo out; echo err >&2; exit 9\"]}"
  assert_output '{"stdout": "out\n", "stderr": "err\n", "exit_code": 9}'
  cri StopContainer "{\"container_id\":\"$id\",\"timeout\":10}"
  [[ $(state "$id") == "[2,3]" ]] || fail "$(state "$id")"
}

@test "an unknown handler is refused, and ours is the runtime's path" {
  run cri RunPodSandbox "{\"config\":$(sandbox),\"runtime_handler\":\"nosuch\"}"
  ((status != 0))
  assert_has nosuch
  run containerd --config "$work/config.toml" config dump
  assert_has "BinaryName = \"$OCI_RUNTIME\""
}

@test "a command that is not there is told to the kubelet in its own words" {
  run_pod
  local id
  id=$(container no-such-command)
  run cri StartContainer "{\"container_id\":\"$id\"}"
  ((status != 0))
  assert_has no-such-command
  [[ $(state "$id") == "[2,128]" || $(state "$id") == "[2,127]" ]] || fail "$(state "$id")"
}

@test "CRI-O's file names this runtime, and a root folder for it" {
  guide_block moss-kubernetes "file: crio.conf" >crio.conf
  run python3 -c 'import json, tomllib; print(json.dumps(tomllib.load(open("crio.conf", "rb"))["crio"]["runtime"]["runtimes"]["moss"], sort_keys=True))'
  assert_output '{"runtime_path": "/usr/local/bin/moss-oci", "runtime_root": "/run/moss-oci", "runtime_type": "oci"}'
  run guide_block moss-kubernetes "file: runtimeclass.yaml"
  assert_has "runtimeClassName: moss"
}

@test "the calls that CRI-O makes of a runtime" {
  local root=$PWD/root id=crio-$$ oci=("$OCI_RUNTIME" --root "$PWD/root")
  mkdir -p bundle/rootfs exits sockets
  tar -xzf "$(rootfs_tarball)" -C bundle/rootfs --exclude './dev/*'
  "$OCI_RUNTIME" spec --bundle bundle
  jq --arg parent "/${work##*/}" '.process.terminal = false | .process.args = ["sh", "-c", "echo started; trap \"exit 3\" TERM; while :; do sleep 0.1; done"]
    | .linux.cgroupsPath = $parent + "/crio-c"' bundle/config.json >config && mv config bundle/config.json
  # What it looks for when it starts.
  run "$OCI_RUNTIME" --version
  assert_success
  "$OCI_RUNTIME" features | jq -e '.ociVersionMin and .linux.mountExtensions.idmap.enabled'
  # conmon creates, as its child's subreaper.
  conmon --cid "$id" --cuuid "$id" --name c --bundle "$PWD/bundle" --container-pidfile "$PWD/pid" --conmon-pidfile "$PWD/conmon.pid" \
    --log-path "k8s-file:$PWD/log" --exit-dir "$PWD/exits" --persist-dir "$PWD" --socket-dir-path "$PWD/sockets" --runtime "$OCI_RUNTIME" --runtime-arg "--root=$root" 3>&- 4>&-
  wait_for 10 test -s pid
  run "${oci[@]}" state "$id"
  assert_success
  [[ $(jq -r '.status + " " + (.pid | tostring)' <<<"$output") == "created $(cat pid)" ]]
  "${oci[@]}" start "$id"
  wait_for 10 grep -q started log
  "${oci[@]}" update --resources - "$id" <<<'{"memory": {"limit": 67108864}}'
  run cgroup_file memory memory.limit_in_bytes "$(cat pid)"
  assert_output 67108864
  "${oci[@]}" pause "$id"
  "${oci[@]}" state "$id" | jq -e '.status == "paused"'
  "${oci[@]}" resume "$id"
  jq '.process | .args = ["sh", "-c", "echo out; exit 9"]' bundle/config.json >process.json
  run "${oci[@]}" exec --process "$PWD/process.json" "$id"
  assert_status 9
  assert_output out
  "${oci[@]}" kill "$id" 15
  wait_for 10 test -s "exits/$id"
  run cat "exits/$id"
  assert_output 3
  run "${oci[@]}" kill "$id" KILL
  ((status != 0))
  [[ $output == *"no such process"* || $output == *"container not running"* || $output == *"invalid process"* ]] || fail "$output"
  "${oci[@]}" delete --force "$id"
  run "${oci[@]}" state "$id"
  ((status != 0))
  assert_has "does not exist"
}
