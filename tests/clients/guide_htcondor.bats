# moss-htcondor(7): its bundle, and what its job runs, as the ordinary user that a job is. There is no HTCondor in Debian 12;
# scripts/vm-tests runs the job by that of Debian 13.
# as: user

load helpers

setup_file() { :; }
setup() { cd "$BATS_TEST_TMPDIR"; }
teardown() { :; }
teardown_file() { :; }

# A block of the guide with the runtime where it is.
block() { guide_block moss-htcondor "$1" | sed "s|/usr/local/bin/moss-oci|$OCI_RUNTIME|g; s|^moss-oci |$OCI_RUNTIME |"; }

# The job's own words, as HTCondor fills them in, in the array job.
read_job() {
  job=("$(block "file: job.sub" | sed -n 's/^executable *= *//p')")
  [[ ${job[0]} == "$OCI_RUNTIME" ]]
  # shellcheck disable=SC2207 # HTCondor divides them at spaces too
  job+=($(block "file: job.sub" | sed -n 's/^arguments *= *//p' | sed 's/$(ClusterId)/1/; s/$(ProcId)/0/'))
}

@test "the bundle's commands and the job's program" {
  cp "$(rootfs_tarball)" rootfs.tar.gz
  sh -ec "$(block "commands: bundle")"
  read_job
  run "${job[@]}"
  assert_success
  [[ -n $output ]]
  jq '.process.args = ["sh", "-c", "id -u; exit 7"]' bundle/config.json >config && mv config bundle/config.json
  run "${job[@]}"
  assert_status 7
  assert_output 0
}

@test "the container ends with the job's program" {
  cp "$(rootfs_tarball)" rootfs.tar.gz
  sh -ec "$(block "commands: bundle")"
  jq '.process.args = ["sh", "-c", "echo started >/ready; exec sleep 100"] | .root.readonly = false' bundle/config.json >config
  mv config bundle/config.json
  read_job
  # HTCondor asks with SIGTERM, which the program may take, and ends what is left with SIGKILL.
  "${job[@]}" 3>&- &
  local runtime=$! init
  wait_for 10 test -s bundle/rootfs/ready
  init=$("$OCI_RUNTIME" --root=state state job-1.0 | jq .pid)
  kill -KILL "$runtime"
  wait "$runtime" || true
  wait_for 10 is_gone "$init"
  "$OCI_RUNTIME" --root=state delete --force job-1.0
}
