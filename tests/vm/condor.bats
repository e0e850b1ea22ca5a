#!/usr/bin/env bats
# HTCondor on one node runs the job of moss-htcondor(7), as an ordinary user: every command and file of the guide, and what
# the guide promises about exit codes and removed jobs. Root starts the daemons; the job is u1's.

load helpers

setup_file() {
  ln -sf "$OCI_RUNTIME" /usr/local/bin/moss-oci
  # Nothing that takes time to find out: who may do what on one machine, and how fast it is.
  printf '%s\n' 'SEC_DEFAULT_AUTHENTICATION_METHODS = FS' 'DISCARD_SESSION_KEYRING_ON_STARTUP = False' \
    'use_clone_to_create_processes = False' >/etc/condor/config.d/50-moss
  systemd-run --quiet --unit moss-condor --property Delegate=yes condor_master -f
  wait_for 180 eval '[[ -n $(condor_status -af Name 2>/dev/null) ]]' || {
    tail -n 30 /var/log/condor/*Log >&2
    return 1
  }
  rm -rf /home/u1/jobs
  install -d -o u1 -g u1 /home/u1/jobs
  cp "$(rootfs_tarball)" /home/u1/jobs/rootfs.tar.gz
  chown u1: /home/u1/jobs/rootfs.tar.gz
  as_user "$(guide_block moss-htcondor "commands: bundle")"
}
setup() { cd /home/u1/jobs || return; }
teardown() { condor_rm -all >/dev/null 2>&1 || true; }
teardown_file() {
  systemctl stop moss-condor
  systemctl reset-failed moss-condor 2>/dev/null || true
}

as_user() { runuser -u u1 -- sh -c "cd /home/u1/jobs && set -e; $1"; }

@test "the job runs in its container, and its output comes back" {
  guide_block moss-htcondor "file: job.sub" | as_user 'cat >job.sub'
  run as_user "$(guide_block moss-htcondor "commands: submit" | sed 's/^condor_wait/condor_wait -wait 240/')"
  assert_status 0
  run cat job.out
  [[ -n $output ]] || fail "no output:" "$(cat job.err job.log)"
  refute_has moss-vm
  grep -q 'return value 0' job.log || grep -q 'exit-code 0\|Normal termination (return value 0)' job.log
}

@test "its exit code is the program's" {
  as_user "jq '.process.args = [\"sh\", \"-c\", \"id -u; exit 7\"]' bundle/config.json >c && mv c bundle/config.json"
  rm -f job.*
  guide_block moss-htcondor "file: job.sub" | as_user 'cat >job.sub'
  as_user "condor_submit job.sub && condor_wait -wait 240 job.log"
  run cat job.out job.err
  assert_output 0
  grep -q 'return value 7' job.log
}

@test "a job that is removed is a container that ends" {
  as_user "jq '.process.args = [\"sh\", \"-c\", \"echo started; exec sleep 4321\"]' bundle/config.json >c && mv c bundle/config.json"
  rm -f job.*
  guide_block moss-htcondor "file: job.sub" | as_user 'cat >job.sub'
  as_user "condor_submit job.sub"
  wait_for 240 pgrep -x -f "sleep 4321"
  run ps -o user= -p "$(pgrep -x -f 'sleep 4321')"
  assert_output u1
  condor_rm -all
  wait_for 120 eval '! pgrep -x -f "sleep 4321"'
  wait_for 60 eval '! pgrep -f "moss-oci.*run -b bundle"'
}
