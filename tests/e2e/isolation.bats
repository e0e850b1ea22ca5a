# What a container can and cannot do and see, by default and when asked.

load helpers

# One field of /proc/self/status inside: status_field NAME OPTION...
status_field() {
  local name=$1
  shift
  in_alpine "$@" -- awk "/^$name:/ { print \$2 }" /proc/self/status
}

# --- capabilities ---

@test "the default capabilities are the eleven, in three of the five sets" { # CVE-2022-24769
  local set
  for set in CapPrm CapEff CapBnd; do
    [[ $(status_field $set) == 00000000800405fb ]]
  done
  [[ $(status_field CapInh) == 0000000000000000 ]]
  [[ $(status_field CapAmb) == 0000000000000000 ]]
}

@test "--cap-drop all leaves nothing, --cap-add gives one back" {
  [[ $(status_field CapBnd --cap-drop all) == 0000000000000000 ]]
  [[ $(status_field CapEff --cap-drop all --cap-add net_bind_service) == 0000000000000400 ]]
  [[ $(status_field CapEff --cap-drop CHOWN) == 00000000800405fa ]]
  refuses nosuchcap run --rm --network none --cap-add nosuchcap alpine true
  refuses nosuchcap run --rm --network none --cap-drop nosuchcap alpine true
}

@test "a dropped capability's act fails" {
  run in_alpine --cap-drop chown -- chown 1:1 /etc/passwd
  assert_status 1
  run in_alpine -- chown 1:1 /etc/passwd
  assert_success
}

@test "exec gives no inheritable capabilities" { # CVE-2022-29162
  moss run -d --name n --network none alpine sleep 100 >/dev/null
  run moss exec n awk '/^Cap(Inh|Amb)/ { print $2 }' /proc/self/status
  assert_success
  assert_output $'0000000000000000\n0000000000000000'
}

# --- security options ---

@test "no-new-privileges is set when asked" {
  [[ $(status_field NoNewPrivs --security-opt no-new-privileges) == 1 ]]
  [[ $(status_field NoNewPrivs --security-opt no-new-privileges=false) == 0 ]]
}

@test "system calls are filtered by default, and not when unconfined" {
  [[ $(status_field Seccomp) == 2 ]]
  [[ $(status_field Seccomp --security-opt seccomp=unconfined) == 0 ]]
}

@test "a profile of one's own decides" {
  cat >profile.json <<<'{"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir","mkdirat"],"action":"SCMP_ACT_ERRNO","errnoRet":28}]}'
  run in_alpine --security-opt seccomp="$PWD/profile.json" -- mkdir /x
  assert_status 1
  assert_has "No space left"
}

@test "a profile that is missing or broken is refused" {
  refuses "$PWD/missing.json" run --rm --network none --security-opt seccomp="$PWD/missing.json" alpine true
  echo '{"defaultAction":' >broken.json
  refuses broken.json run --rm --network none --security-opt seccomp="$PWD/broken.json" alpine true
  echo '{"defaultAction":"SCMP_ACT_NONSENSE"}' >nonsense.json
  refuses nonsense.json run --rm --network none --security-opt seccomp="$PWD/nonsense.json" alpine true
}

@test "an unknown security option is refused" {
  refuses nonsense run --rm --network none --security-opt nonsense=1 alpine true
}

@test "masked files and folders look empty" {
  run in_alpine -- sh -c 'cat /proc/keys /proc/timer_list /proc/interrupts /proc/sched_debug 2>/dev/null; ls /sys/firmware /proc/acpi 2>/dev/null | grep -v :'
  assert_output ""
}

@test "mask= hides more, unmask= shows again" {
  run in_alpine --security-opt mask=/etc/passwd:/var -- sh -c 'cat /etc/passwd; ls /var'
  assert_success
  assert_output ""
  run in_alpine --security-opt unmask=/proc/interrupts -- grep -c . /proc/interrupts
  assert_success
  run in_alpine --security-opt 'unmask=/proc/*' -- grep -c . /proc/interrupts
  assert_success
}

@test "kernel settings are read-only, and stay so for root inside" {
  local path
  for path in /proc/sys/kernel/hostname /proc/sysrq-trigger /proc/sys/net/ipv4/ip_forward; do
    run in_alpine -- sh -c "echo 0 >$path"
    ((status != 0)) || fail "$path was written"
  done
  run in_alpine -- sh -c 'mkdir /sys/fs/cgroup/x || touch /sys/x'
  assert_status 1
}

@test "a masked path through a symlink of the image's hits nothing else" { # CVE-2025-31133
  make_rootfs root
  mkdir -p root/dev
  rm -f root/dev/null
  ln -s /proc/sys/kernel/core_pattern root/dev/null
  run moss run --rm --network none --rootfs "$PWD/root" sh -c 'stat -c %t:%T /dev/null; cat /proc/keys; cat /proc/timer_list'
  assert_success
  assert_output 1:3
}

@test "--privileged gives every capability of the namespace and no more" {
  [[ $(status_field CapEff --privileged) == "$(unshare -Ur awk '/^CapBnd/ { print $2 }' /proc/self/status)" ]]
  [[ $(status_field Seccomp --privileged) == 0 ]]
  run in_alpine --privileged -- sh -c 'echo x >/proc/sys/kernel/core_pattern'
  assert_status 1
}

@test "devices are the six harmless ones" {
  run in_alpine -- sh -c 'find /dev -type c ! -name ptmx ! -path "/dev/pts/*" ! -name console | sort'
  assert_success
  assert_output $'/dev/full\n/dev/null\n/dev/random\n/dev/tty\n/dev/urandom\n/dev/zero'
  run in_alpine -- mknod /dev/mem c 1 1
  ((status != 0))
}

# --- ids ---

@test "root inside is the caller outside" {
  run in_alpine -- awk 'NR == 1 { print $1, $2, $3 }' /proc/self/uid_map
  assert_success
  assert_output "0 $EUID 1"
}

@test "keep-id keeps the caller's id" {
  run in_alpine --userns keep-id -- sh -c 'id -u; id -g'
  assert_success
  assert_output "$(id -u; id -g)"
  run in_alpine --userns keep-id:uid=77,gid=78 -- sh -c 'id -u; id -g'
  assert_success
  assert_output $'77\n78'
}

@test "a map without the caller, and one too small for the image, say what to add" {
  refuses "--uidmap 100:0:1" run --rm --network none --uidmap 0:1:100 --gidmap 0:0:100 alpine true
  refuses "--gidmap" run --rm --network none --gidmap 0:0:2 alpine true
}

@test "the caller's groups are not to be had" {
  refuses keep-groups run --rm --network none --group-add keep-groups alpine true
}

@test "--uidmap and --gidmap choose the map, of one's own ids only" {
  run in_alpine --uidmap 0:0:1 --uidmap 1:1:999 --gidmap 0:0:1000 -- awk '{ print $1, $3 }' /proc/self/uid_map
  assert_success
  assert_output $'0 1\n1 999'
  run in_alpine --uidmap 0:4000000000:1 -- true
  assert_status 125
  for map in x 0:0 0:0:0 0:0:1:1 -1:0:1 "" 0:0:4294967296; do
    [[ $map != 0:0 ]] || continue # Podman's short form of one id
    run in_alpine "--uidmap=$map" -- true
    assert_status 125
  done
  run in_alpine --uidmap 0:0:2 --uidmap 1:5:2 -- true
  assert_status 125
}

# --- namespaces ---

@test "every namespace is the container's own" {
  local type
  run in_alpine -- sh -c 'for t in user mnt pid ipc uts cgroup net; do readlink /proc/self/ns/$t; done'
  assert_success
  ((${#lines[@]} == 7))
  for type in user mnt pid ipc uts cgroup net; do
    refute_has "$(readlink /proc/self/ns/$type)"
  done
}

@test "--pid, --ipc, --uts, --network and --cgroupns host share the host's" {
  run in_alpine --pid host --ipc host --uts host --cgroupns host -- sh -c 'for t in pid ipc uts cgroup; do readlink /proc/self/ns/$t; done'
  assert_success
  assert_output "$(for t in pid ipc uts cgroup; do readlink /proc/self/ns/$t; done)"
  run moss run --rm --network host alpine readlink /proc/self/ns/net
  assert_success
  assert_output "$(readlink /proc/self/ns/net)"
  refuses nonsense run --rm --network none --pid nonsense alpine true
  refuses nonsense run --rm --network nonsense alpine true
}

@test "only the container's processes are seen" {
  run in_alpine -- sh -c 'ls -d /proc/[0-9]* | wc -l'
  assert_success
  ((output <= 4))
}

@test "without a network there is only loopback, and it works" {
  run in_alpine -- sh -c 'ls /sys/class/net; ping -c 1 -W 1 127.0.0.1 >/dev/null 2>&1 || cat /sys/class/net/lo/operstate; ip -o link'
  assert_has lo
  refute_has eth
  refute_has DOWN
}

# --- what must not leak ---

@test "no descriptor of the caller's gets in" { # CVE-2024-21626
  exec 7<"$BATS_TEST_FILENAME" 19<"/"
  run in_alpine -- sh -c 'ls -l /proc/self/fd /proc/1/fd | grep -E " [3-9]+ ->| [0-9]{2,} ->"'
  exec 7<&- 19<&-
  refute_has bats
  refute_has " 7 ->"
  refute_has " 19 ->"
}

@test "the mount table names nothing of the host's but the store" {
  run in_alpine -- sh -c 'ls /; cat /proc/1/environ | tr "\0" "\n"; cat /proc/1/cmdline'
  assert_success
  refute_has "$BATS_TEST_TMPDIR"
  refute_has moss-test
}

@test "moss listens on no socket" { # CVE-2020-15257, CVE-2021-4024
  moss run -d --network none --pidfile pid alpine sleep 100 >/dev/null
  local process
  process=$(cat pid)
  run ls -l "/proc/$process/fd" "/proc/$(awk '/^PPid/ { print $2 }' "/proc/$process/status")/fd"
  assert_success
  refute_has socket:
  run cat /proc/net/unix
  refute_has "$BATS_TEST_TMPDIR"
}

@test "the store and the state are closed to others" {
  moss run -d --name n --network none alpine sleep 100 >/dev/null
  local folder
  for folder in "$XDG_DATA_HOME"/moss "$XDG_RUNTIME_DIR"/moss; do
    [[ $(stat -c %a "$folder") == 700 ]] || fail "$folder has mode $(stat -c %a "$folder")"
  done
}
