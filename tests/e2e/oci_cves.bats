#!/usr/bin/env bats
# What happened to other runtimes, tried on `moss oci`. More of it: hostile_bundles.bats, oci_races.bats.
# as: root user
# speed: slow

load oci_helpers

# A process of the container looks into every other one while moss joins it.
@test "a process that exec brings cannot be looked into before it is the container's" { # CVE-2016-9962
  cat >watch <<'END'
: >/found
echo >/ready
while [ ! -e /stop ]; do
  for p in /proc/[0-9]*; do
    exe=$(readlink $p/exe) && [ "$exe" != /bin/busybox ] && echo "$p/exe $exe" >>/found
    [ -e "$p/root$OUTSIDE" ] && echo "$p/root" >>/found
    [ -e "$p/cwd$OUTSIDE" ] && echo "$p/cwd" >>/found
    for fd in $p/fd/*; do
      link=$(readlink $fd) || continue
      case $link in pipe:* | socket:* | /dev/null | /watch | /found | /proc*) ;; *) echo "$fd $link" >>/found ;; esac
    done
  done
done 2>/dev/null
END
  EDIT='.process.env += ["OUTSIDE='"$PWD"'/watch"] | .process.capabilities[] += ["CAP_SYS_PTRACE"]' bundle b sh /watch
  cp watch b/rootfs/
  oci run -d -b b c </dev/null >/dev/null 2>&1
  wait_for 10 test -e b/rootfs/ready
  for _ in {1..100}; do oci exec c true </dev/null >/dev/null 2>&1; done
  touch b/rootfs/stop
  wait_for 20 has_status c stopped
  [[ -e b/rootfs/found && ! -s b/rootfs/found ]] || fail "$(sort b/rootfs/found | uniq -c)"
}

@test "the runtime's own binary is out of reach, even for who owns it" { # CVE-2019-5736
  cp "$MOSS" mine
  chmod 755 mine
  local sum
  sum=$(sha256_of mine)
  bundle b /proc/self/exe --version
  run -127 ./mine oci --root state run -b b c
  refute_has "moss"[-\ ]"version"
  bundle b /script
  printf '#!/proc/self/exe\n' >b/rootfs/script
  chmod 755 b/rootfs/script
  run -127 timeout 60 ./mine oci --root state run -b b c
  # It opens what it can get at, and writes as soon as nobody executes it any more.
  cat >overwrite <<'END'
echo >/ready
while [ ! -e /stop ]; do
  for p in /proc/[0-9]*; do
    exe=$(readlink $p/exe) && [ "$exe" != /bin/busybox ] && echo "$p $exe" >>/found
    echo overwritten >>$p/exe
  done
done 2>/dev/null
END
  EDIT='.process.capabilities[] += ["CAP_SYS_PTRACE", "CAP_DAC_OVERRIDE"]' bundle b sh /overwrite
  cp overwrite b/rootfs/
  ./mine oci --root state run -d -b b c </dev/null >/dev/null 2>&1
  wait_for 10 test -e b/rootfs/ready
  for _ in {1..50}; do ./mine oci --root state exec c true </dev/null >/dev/null 2>&1; done
  touch b/rootfs/stop
  wait_for 20 has_status c stopped
  [[ ! -e b/rootfs/found ]] || fail "$(cat b/rootfs/found)"
  [[ $(sha256_of mine) == "$sum" ]]
}

# shellcheck disable=SC2016 # for the shell inside
@test "cgroups that are not the container's own cannot be written" { # CVE-2023-25809
  EDIT='.linux.namespaces |= map(select(.type != "cgroup"))
    | .mounts += [{destination: "/sys/fs/cgroup", type: "cgroup", source: "cgroup", options: ["nosuid", "rw"]}]' \
    bundle b sh -c 'find /sys/fs/cgroup -maxdepth 3 -type d | while read -r d; do [ -e "$d/cgroup.procs" ] || continue; mkdir "$d/moss-made" && echo "made $d"; (echo $$ >"$d/cgroup.procs") && echo "moved to $d"; done 2>/dev/null; echo end'
  run oci run -b b c
  assert_success
  assert_output end
}

# shellcheck disable=SC2016 # for the shell inside
@test "no release agent can be set from inside" { # CVE-2022-0492
  EDIT='.process.capabilities[] += ["CAP_SETFCAP"]' bundle b \
    unshare -U -r -m sh -c 'mkdir -p /tmp/c; for c in memory rdma misc none,name=x; do mount -t cgroup -o $c none /tmp/c && echo mounted; done; echo end'
  run oci run -b b c
  assert_has end
  refute_has mounted
}

@test "a terminal is made by the kernel's devpts or not at all" { # CVE-2025-52565
  mkdir pts
  echo precious >victim
  ln -s "$PWD/victim" pts/ptmx
  for kind in link file null; do
    rm -f pts/ptmx
    case $kind in
      link) ln -s /proc/sys/kernel/core_pattern pts/ptmx ;;
      file) touch pts/ptmx ;;
      null) ln -s ../null pts/ptmx ;;
    esac
    EDIT='.process.terminal = true | .mounts |= map(if .destination == "/dev/pts"
      then {destination: "/dev/pts", type: "bind", source: "'"$PWD/pts"'", options: ["rbind"]} else . end)' bundle b sh -c 'echo ran'
    run timeout 60 "$MOSS" oci --root state run -b b c </dev/null
    assert_status 1
    refute_has ran
    assert_has "open the terminal"
  done
  [[ $(cat victim) == precious ]]
}

# bubblewrap 0.11.1 and others: what a caller may have left behind.
@test "ignored and blocked signals and closed descriptors change nothing" {
  bundle b sh -c 'exit 7'
  cat >caller.py <<'PYTHON'
import signal, subprocess, sys
def odd():
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    signal.pthread_sigmask(signal.SIG_BLOCK, set(signal.Signals))
print(subprocess.run(sys.argv[1:], preexec_fn=odd, timeout=20).returncode)
PYTHON
  run python3 caller.py "$MOSS" oci --root state run -b b c
  assert_output 7
  local status=0
  timeout 60 "$MOSS" oci --root state run -b b c <&- >&- 2>&- || status=$?
  ((status == 7))
  bundle b sh -c 'grep -E "^Sig(Blk|Ign)" /proc/self/status | tr -d "\t\n"'
  run python3 caller.py "$MOSS" oci --root state run -b b c
  assert_has "SigBlk:0000000000000000SigIgn:0000000000000000"
}
