# shellcheck shell=bash
# What every test with a real client starts from: `load helpers`.
#
# A file is one client, driving the runtime $OCI_RUNTIME (an absolute path; by default the moss-oci that was built) with
# stores, sockets and state in folders of its own. `need PROGRAM...` says what the client is: without it the file's tests
# are skipped, or with CI=true fail. `# as: root`, `# as: user` or `# as: root user` in a file's head says who runs it.
#
# Try a new test on runc first (OCI_RUNTIME=/usr/sbin/runc bats FILE), so that a failure is moss's own.

load ../e2e/helpers

: "${OCI_RUNTIME:=$repo/build/moss-oci}"
export OCI_RUNTIME

# Which of the client's programs must be there, and for whom a test is.
need() {
  local program
  for program; do
    PATH=$PATH:/usr/sbin:/sbin command -v "$program" >/dev/null && continue
    [[ ${CI-} != true ]] || fail "$program is missing: scripts/setup --clients installs it" || return
    skip "no $program here: scripts/setup --clients installs it"
  done
  export PATH=$PATH:/usr/sbin:/sbin
}
is_root() { ((EUID == 0)); }

# `docker` for the daemon that was just started, once it answers, with an image `alpine`.
docker_client() {
  export DOCKER_CONFIG=$work/home
  make_command docker --host "unix://$work/d.sock"
  wait_for 60 eval 'docker version >/dev/null 2>&1' || fail "$(tail -n 20 "$work/dockerd.log")"
  zcat "$(rootfs_tarball)" | docker import - alpine >/dev/null
}
remove_docker_containers() {
  local all
  mapfile -t all < <(docker ps --all --quiet)
  ((${#all[@]} == 0)) || docker rm --force "${all[@]}" >/dev/null
}

# The folder of the whole file. Sockets lie in it, so its name has to be short: a socket's may have 107 characters.
make_work() {
  work=$(mktemp -d "${TMPDIR:-/tmp}/c.XXXXXX")
  chmod 755 "$work"
  export work
  export XDG_RUNTIME_DIR=$work/run HOME=$work/home
  mkdir -m 700 "$XDG_RUNTIME_DIR" "$HOME"
}
# Rootless podman leaves a process that holds its user namespace, and its number in a file.
end_podmans_pause() {
  local file pid
  while read -r file; do
    pid=$(<"$file")
    [[ $(cat "/proc/$pid/comm" 2>/dev/null) == podman* ]] && kill "$pid"
  done < <(find "$work" "$BATS_RUN_TMPDIR" -name pause.pid 2>/dev/null)
  return 0
}
remove_work() {
  local left
  end_podmans_pause
  remove_cgroups "${work##*/}"
  left=$(client_leftovers)
  as_owner rm -rf "$work"
  [[ -z $left ]] || fail "left behind:" "$left"
}

# Processes that live in the work folder and mounts below it.
client_leftovers() {
  local pid
  for pid in /proc/[0-9]*; do
    [[ $pid == "/proc/$$" || $pid == "/proc/$BASHPID" ]] && continue
    grep -qsF "$work" "$pid/mountinfo" "$pid/cmdline" 2>/dev/null && printf 'process %s: %s\n' "${pid#/proc/}" "$(tr '\0' ' ' <"$pid/cmdline")"
  done
  grep -F "$work" /proc/self/mounts
  return 0
}

# Unmounts what is mounted below a folder.
unmount_below() {
  awk -v folder="$1/" 'index($2, folder) == 1 { print $2 }' /proc/self/mounts | sort -r | xargs -r -n 1 umount
}

# Cgroups called $1 at the top of any hierarchy: clients leave the parents of their containers behind, empty.
remove_cgroups() {
  local found
  for found in /sys/fs/cgroup/*/"$1" /sys/fs/cgroup/"$1"; do
    [[ ! -d $found || $found == "/sys/fs/cgroup/*/$1" ]] || find "$found" -depth -type d -exec rmdir {} + || fail "$found is in use"
  done
}

# From now on the command $1 is the program of that name with these arguments first.
make_command() {
  local program
  program=$(command -v "$1")
  mkdir -p "$work/bin"
  printf '#!/bin/sh\nexec %s%s "$@"\n' "$program" "$(printf ' %q' "${@:2}")" >"$work/bin/$1"
  chmod 755 "$work/bin/$1"
  export PATH=$work/bin:$PATH
}

# From now on podman has a store of the file's own, and this runtime. Podman would raise the limits of root's containers
# beyond what this root may; without systemd it has no manager of cgroups and no journal.
use_podman() {
  cat >"$work/containers.conf" <<END
[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime_supports_json = ["${OCI_RUNTIME##*/}"]
runtime_supports_nocgroup = ["${OCI_RUNTIME##*/}"]
END
  export CONTAINERS_CONF=$work/containers.conf
  make_command podman --log-level error --root "$work/root" --runroot "$work/runroot" --tmpdir "$work/tmp" --storage-driver overlay \
    --runtime "$OCI_RUNTIME"
}

# Starts a daemon with its words in $work/NAME.log: start_daemon NAME COMMAND...; end_daemon NAME ends it.
start_daemon() {
  local name=$1
  shift
  "$@" >"$work/$name.log" 2>&1 3>&- 4>&- &
  echo $! >"$work/$name.pid"
}
end_daemon() {
  local pid
  pid=$(cat "$work/$1.pid" 2>/dev/null) || return 0
  kill "$pid" 2>/dev/null || return 0
  wait_for 15 is_gone "$pid" || kill -KILL "$pid"
}
# No such process, or one that has ended and waits for its parent.
is_gone() { [[ ! -e /proc/$1 || $(awk '$1 == "State:" { print $2 }' "/proc/$1/status" 2>/dev/null) == [ZX]* ]]; }

# The root filesystem as an archive that every client can load, an image called localhost/alpine.
image_archive() {
  zcat "$(rootfs_tarball)" >"$work/rootfs.tar"
  # shellcheck disable=SC2153
  make_layout "$work/layout" '{"Env":["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],"Cmd":["/bin/sh"]}' "$work/rootfs.tar"
  sed -i 's|ref.name":"test"|ref.name":"localhost/alpine:latest"|' "$work/layout/index.json"
  tar -cf "$work/image.tar" -C "$work/layout" .
  rm "$work/rootfs.tar"
}

# Runs a command on a new terminal of 30 rows and 100 columns, prints what it showed, and returns its exit code.
on_terminal() {
  python3 - "$@" <<'END'
import fcntl, os, pty, struct, sys, termios
pid, master = pty.fork()
if pid == 0:
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 30, 100, 0, 0))
    os.execvp(sys.argv[1], sys.argv[1:])
while True:
    try:
        seen = os.read(master, 65536)
    except OSError:
        break
    if not seen:
        break
    os.write(1, seen)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
END
}

# Twenty at once of a command that gets the number as its last word; all must succeed: twenty COMMAND...
twenty() {
  local i pids=() failed=0
  for i in {1..20}; do
    "$@" "$i" 3>&- &
    pids+=($!)
  done
  for i in "${pids[@]}"; do
    wait "$i" || failed=$((failed + 1))
  done
  ((failed == 0)) || fail "$failed of 20 failed"
}

# The file $2 of the cgroup v1 controller $1 that process $3 is in.
cgroup_file() {
  local path
  path=$(awk -F: -v c="$1" '("," $2 ",") ~ ("," c ",") { print $3 }' "/proc/$3/cgroup")
  cat "/sys/fs/cgroup/$1$path/$2"
}

# The block that follows the comment `.\" $2` in the guide $1 (moss-slurm, …), as a reader sees it.
guide_block() {
  local text
  text=$(awk -v want=".\\\\\" $2" '$0 == want { found = 1; next } found && /^\.EX/ { inside = 1; next } inside && /^\.EE/ { exit } inside' \
    "$repo/src/cli/man/$1.7" | sed 's/\\-/-/g; s/\\(dq/"/g; s/\\e/\\/g; s/^\\&//')
  [[ -n $text ]] || fail "no block '$2' in $1(7)" || return
  printf '%s\n' "$text"
}
