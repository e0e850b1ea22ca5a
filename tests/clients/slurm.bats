# Slurm runs a job's bundle as the ordinary user who submitted it, by the commands in oci.conf: run, state, kill, delete.
#
# One node, its daemons on ports of their own. Debian's Slurm (22.05) starts one task for each container, and waits for the
# end of create's output, which no runtime that hands its stdout on can give it: hence run, which its manual prefers too.
# as: root

load helpers

setup_file() {
  need slurmctld slurmd srun munged
  is_root || skip "slurmd needs root, to become the users whose jobs it runs"
  make_work
  chmod 711 "$work"
  user=nobody
  export user
  local port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("", 0)); print(s.getsockname()[1])')
  mkdir -m 700 "$work/munge" "$work/state" "$work/spool"
  chmod 711 "$work/munge" "$work/spool"
  (umask 077 && head -c 128 /dev/urandom >"$work/munge/key")
  start_daemon munged munged --foreground --key-file "$work/munge/key" --seed-file "$work/munge/seed" --socket "$work/munge/s" \
    --pid-file "$work/munge/pid" --log-file "$work/munge/log"
  export SLURM_CONF=$work/slurm.conf
  cat >"$SLURM_CONF" <<END
ClusterName=moss
SlurmctldHost=localhost
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
AuthInfo=socket=$work/munge/s
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
MpiDefault=none
KillWait=2
SlurmdParameters=config_overrides
NodeName=localhost CPUs=32
PartitionName=all Nodes=localhost Default=YES
END
  # What moss-slurm(7) tells to write, with the runtime's path and a folder for its state put in.
  guide_block moss-slurm "file: oci.conf" | sed "s|/usr/local/bin/moss-oci|$OCI_RUNTIME|; s|/run/user/%U|$work/oci|" >"$work/oci.conf"
  install -d -m 700 -o "$user" "$work/oci"
  start_daemon slurmctld slurmctld -D
  start_daemon slurmd slurmd -D -N localhost
  # The user's folder, with the bundle that the guide makes.
  install -d -o "$user" "$work/job"
  install -o "$user" "$(rootfs_tarball)" "$work/job/rootfs.tar.gz"
  as_job_user sh -ec "$(guide_block moss-slurm "commands: bundle" | sed "s|^moss-oci|$OCI_RUNTIME|")"
  wait_for 30 eval '[[ $(sinfo --noheader --format %T) == idle ]]'
}

# As the user, in the user's folder.
as_job_user() {
  (cd "$work/job" && exec setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups \
    env -i "PATH=$PATH" "SLURM_CONF=$SLURM_CONF" "HOME=$work/job" "$@")
}
job() { as_job_user srun --quiet --container="$work/job/bundle" "$@"; }
no_state() { [[ -z $(ls -A "$work/oci") ]]; }

setup() { cd "$BATS_TEST_TMPDIR"; }
teardown() {
  scancel --user "$user"
  wait_for 20 eval '[[ -z $(squeue --noheader) ]]'
}
teardown_file() {
  [[ -n ${work-} ]] || return 0
  end_daemon slurmd
  end_daemon slurmctld
  end_daemon munged
  remove_work
}

@test "the guide's job runs" {
  run as_job_user sh -ec "$(guide_block moss-slurm "commands: job")"
  assert_success
  assert_has "NAME="
}

@test "a job is root inside and the user outside" {
  run job id -u
  assert_output 0
  run job cat /proc/self/uid_map
  [[ $output =~ ^\ *0\ +$(id -u "$user")\ +1$ ]]
}

@test "a job returns the command's exit code, also 126 and 127" {
  run job sh -c 'exit 7'
  assert_status 7
  run job sh -c 'sleep 10 & kill -KILL $!; wait $!'
  assert_status 137
  run -127 job sh -c /no/such/command
  run job sh -c /etc/passwd
  assert_status 126
}

@test "a command that is not there fails the job" {
  run job no-such-command
  ((status != 0))
  job true
}

@test "stdin, both streams and the job's environment are there" {
  run job sh -c 'cat; echo err >&2; echo "job $SLURM_JOB_ID"' <<<"from outside"
  assert_has "from outside"
  assert_has err
  [[ $output =~ job\ [0-9]+ ]]
}

@test "a cancelled job's container is killed and its state removed" {
  [[ ${OCI_RUNTIME##*/} != runc ]] || skip "without a cgroup runc cannot kill --all"
  job sleep 1234 3>&- 4>&- &
  wait_for 10 eval '! no_state'
  sleep 0.5
  scancel --user "$user"
  wait_for 20 eval '[[ -z $(squeue --noheader) ]]'
  wait_for 10 no_state
  wait $! || true
  run pgrep --full "sleep 1234" --uid "$user"
  assert_output ""
}

@test "twenty jobs run at once" {
  one() { [[ $(job sh -c "sleep 0.5; echo $1") == "$1" ]]; }
  twenty one
}

@test "nothing of a job's container is left" {
  job true
  wait_for 5 no_state
}
