# The runtime-spec's config.md: what holds on every platform.
# as: root user

load helpers

# Valid values: "generate an error when invalid … values are encountered".
@test "a config with a wrong value, or cut short, is refused" {
  edit 'c["root"] = "rootfs"'
  refused
  echo '{"ociVersion": "1.0.2", ' >bundle/config.json
  refused
}

# Extensibility: "MUST NOT generate an error if they encounter an unknown property. Instead they MUST ignore unknown properties."
@test "unknown properties are ignored" {
  edit 'c["org.example.new"] = {"a": 1}; process["newer"] = True; linux["newest"] = []; c["mounts"][0]["later"] = "x"'
  runs 'echo yes'
  assert_output yes
}

# Annotations: "Implementations … MUST NOT generate an error if they encounter an unknown annotation key"; values "MAY be an empty string".
@test "unknown annotations are ignored" {
  edit 'c["annotations"] = {"org.example.unknown": "", "org.example.other": "x"}'
  runs 'echo yes'
  assert_output yes
}

# Root: "A directory MUST exist at the path declared by the field."
@test "a root that is not there is an error" {
  edit 'c["root"]["path"] = "no/such/folder"'
  refused
}

# Root: "If true then the root filesystem MUST be read-only inside the container"
@test "a read-only root is read-only, one that is not is not" {
  runs 'echo x >/file && echo written'
  assert_output written
  edit 'c["root"]["readonly"] = True'
  runs 'touch /file2 2>/dev/null || echo refused'
  assert_output refused
}

# Mounts: "The runtime MUST mount entries in the listed order."
@test "mounts are made in the order listed" {
  mkdir first second
  echo one >first/name
  echo two >second/name
  edit 'c["mounts"] += [{"destination": "/mnt", "type": "bind", "source": os.path.abspath(s), "options": ["bind"]} for s in ("first", "second")]'
  runs 'cat /mnt/name; umount /mnt 2>/dev/null; grep -c " /mnt " /proc/self/mountinfo'
  assert_output $'two\n2'
}
# Since Linux 6.8 /proc/self/mountinfo lists mounts by age: whoever reads it sees the order in which they were made.
@test "mounts are listed in the order listed" {
  mkdir source
  edit 'c["mounts"].append({"destination": "/mnt", "type": "bind", "source": os.path.abspath("source"), "options": ["bind"]})' \
    'c["mounts"].append({"destination": "/tmp", "type": "tmpfs", "source": "tmpfs"})'
  runs "awk '\$5 !~ \"^(/|/dev/[^ps].*)$\" { print \$5 }' /proc/self/mountinfo"
  assert_output $'/proc\n/dev\n/dev/pts\n/dev/shm\n/sys\n/mnt\n/tmp'
}

# Mounts: destination, type, source and options as of mount(8).
@test "the options of a mount are applied" {
  mkdir source
  edit 'c["mounts"] += [{"destination": "/ro", "type": "bind", "source": os.path.abspath("source"), "options": ["rbind", "ro", "nosuid", "nodev", "noexec"]},
    {"destination": "/new/tmp", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m", "mode=1750"]}]'
  runs 'touch /ro/x 2>/dev/null || echo refused; stat -c %a /new/tmp; grep " /ro " /proc/self/mountinfo'
  assert_has $'refused\n1750'
  assert_has nosuid,nodev,noexec
}

# Process: "cwd … MUST be an absolute path."
@test "the working folder is the one named, and must be absolute" {
  edit 'process["cwd"] = "/usr/bin"'
  runs pwd
  assert_output /usr/bin
  edit 'process["cwd"] = "usr/bin"'
  refused
}

# Process: env and args have "the same semantics as" environ and execvp's argv.
@test "environment and arguments are those of the config and no others" {
  edit 'process["env"] = ["PATH=/bin:/usr/bin", "WORD=a b", "EMPTY="]' 'process["args"] = ["env"]'
  SECRET=outside run oci run --bundle bundle "$id" 3>&- 4>&-
  assert_success
  assert_has "WORD=a b"
  assert_has "EMPTY="
  refute_has outside
  edit 'process["args"] = ["printf", "<%s>", "a b", "", "*"]'
  run oci run --bundle bundle "$id" 3>&- 4>&-
  assert_output "<a b><><*>"
}

@test "a program that is not in PATH is an error" {
  edit 'process["args"] = ["no-such-program"]'
  # Without bats' run, which has something of its own to say about 127.
  if oci run --bundle bundle "$id" >out 2>&1 </dev/null 3>&- 4>&-; then fail "it ran"; fi
  run oci state "$id"
  ((status != 0))
}

# Process: "consoleSize … Runtimes MUST ignore consoleSize if terminal is false or unset."
@test "a console size without a terminal is ignored" {
  edit 'process["consoleSize"] = {"height": 30, "width": 100}'
  runs 'test -t 0 || echo none'
  assert_output none
}

# POSIX process: "rlimits … soft … MUST be used as rlim_cur, hard as rlim_max".
@test "limits of the process are set" {
  edit 'process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}, {"type": "RLIMIT_CORE", "soft": 0, "hard": 0}]'
  runs 'grep -E "open files|core file" /proc/self/limits | tr -s " "'
  assert_has "Max open files 100 200"
  assert_has "Max core file size 0 0"
}

# "If rlimits contains duplicated entries with same type, the runtime MUST generate an error."
# Neither crun 1.8 nor runc 1.1 does.
@test "a limit given twice is an error" {
  edit 'process["rlimits"] = [{"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200}] * 2'
  refused
}

# "The runtime MUST generate an error for any values which cannot be mapped to a relevant kernel interface."
@test "a limit that the kernel does not know is an error" {
  edit 'process["rlimits"] = [{"type": "RLIMIT_NO_SUCH", "soft": 1, "hard": 2}]'
  refused
}

# POSIX-platform user: uid, gid, umask, additionalGids.
@test "user, groups and umask are those of the config" {
  if ((EUID == 0)); then
    edit 'process["user"] = {"uid": 7, "gid": 8, "additionalGids": [9, 10], "umask": 0o27}' 'process["cwd"] = "/tmp"'
    runs 'echo $(id -u) $(id -g) $(id -G) $(umask)'
    assert_output "7 8 8 9 10 0027"
  else
    edit 'process["user"] = {"uid": 0, "gid": 0, "umask": 0o27}'
    runs 'echo $(id -u) $(id -g) $(umask)'
    assert_output "0 0 0027"
  fi
}

# Linux process: capabilities, noNewPrivileges.
@test "capabilities are those of the config" {
  edit 'process["capabilities"] = {s: ["CAP_CHOWN", "CAP_KILL"] for s in ("bounding", "effective", "permitted")}' 'process["noNewPrivileges"] = True'
  runs 'grep -E "^(Cap|NoNew)" /proc/self/status'
  assert_has $'CapInh:\t0000000000000000'
  assert_has $'CapPrm:\t0000000000000021'
  assert_has $'CapEff:\t0000000000000021'
  assert_has $'CapBnd:\t0000000000000021'
  assert_has $'CapAmb:\t0000000000000000'
  assert_has $'NoNewPrivs:\t1'
}

# "oomScoreAdj … If set, the runtime MUST set oom_score_adj to the given value; if not set, MUST NOT change it".
@test "the oom score is set when given and else left alone" {
  local ours
  ours=$(cat /proc/self/oom_score_adj)
  runs 'cat /proc/self/oom_score_adj'
  assert_output "$ours"
  edit "process['oomScoreAdj'] = $ours + 100"
  runs 'cat /proc/self/oom_score_adj'
  assert_output $((ours + 100))
}

# Hostname.
@test "the host name is that of the config" {
  edit 'c["hostname"] = "inside"'
  runs hostname
  assert_output inside
}

# What every runtime does, and images rely on: a HOME that nobody set is that of the user in the image's passwd.
@test "HOME comes from the container's passwd where it is not set" {
  mkdir -p bundle/rootfs/usr/share
  printf 'root:x:0:0:root:/root\nx:x:%s:0:x:/far:sh\nme:x:1:1:me:/home/me:/bin/sh' "$(printf '%020000d' 7)" >bundle/rootfs/usr/share/passwd
  ln -sf ../usr/share/passwd bundle/rootfs/etc/passwd
  runs 'echo $HOME'
  assert_output /root
  edit 'process["env"].append("HOME=/set")'
  runs 'echo $HOME'
  assert_output /set
  ((EUID == 0)) || return 0
  edit 'process["env"].pop(); process["user"]["uid"] = 1'
  runs 'echo $HOME'
  assert_output /home/me
  edit 'process["user"]["uid"] = 2'
  runs 'echo $HOME'
  assert_output /
  program 'sleep 100'
  oci run --detach --bundle bundle "$id" >out 2>&1 </dev/null 3>&- 4>&-
  run oci exec --user 1 "$id" sh -c 'echo $HOME'
  assert_output /home/me
}

# Mounts: "in the listed order" means that what is listed later lies in what is listed before.
@test "a read-only /dev has the devices and mounts that belong there" {
  edit 'c["mounts"][1]["options"].append("ro")'
  runs 'touch /dev/new 2>/dev/null || echo refused; echo lost >/dev/null && test -d /dev/shm && readlink /dev/fd'
  assert_output $'refused\n/proc/self/fd'
}
# What an ordinary user may not change about a mount of the host's stays as the host has it.
@test "a bind mount may ask for another way to keep access times" {
  mkdir source
  edit 'c["mounts"].append({"destination": "/mnt", "type": "bind", "source": os.path.abspath("source"), "options": ["bind", "nosuid", "strictatime"]})'
  runs 'grep -o " /mnt .*nosuid" /proc/self/mountinfo | cut -c1-6'
  assert_output " /mnt "
}
# config-linux.md: hostname is the config's; crun and runc refuse the parameter too.
@test "the host name is not set by sysctl" {
  edit 'linux["sysctl"] = {"kernel.hostname": "other"}'
  refused
}
# crun's annotation, on which Podman's --group-add keep-groups rests; runc has none.
@test "the caller's groups are kept where the annotation asks for it" {
  ((EUID == 0)) || skip "an ordinary user here has no groups to keep"
  edit 'c["annotations"] = {"run.oci.keep_original_groups": "1"}'
  program 'grep Groups: /proc/self/status'
  run setpriv --groups 3,4 "$OCI_RUNTIME" --root "$BATS_TEST_TMPDIR/state" run --bundle bundle "$id" </dev/null 3>&- 4>&-
  assert_has "3 4"
  edit 'del c["annotations"]'
  run setpriv --groups 3,4 "$OCI_RUNTIME" --root "$BATS_TEST_TMPDIR/state" run --bundle bundle "$id" </dev/null 3>&- 4>&-
  refute_has "3 4"
}

# Process: "terminal"; the terminal is sent to the console socket, and is the container's /dev/console (runtime-linux.md).
@test "a terminal goes to the console socket, and is what the container is on" {
  edit 'process["terminal"] = True; process["consoleSize"] = {"height": 30, "width": 100}'
  ((EUID != 0)) || edit 'process["user"]["uid"] = 7'
  program 'tty; stty size; test "$(stat -c %u "$(tty)")" = "$(id -u)" && echo own; test -c /dev/console && echo console'
  run python3 - "$OCI_RUNTIME" "$PWD" "$id" <<'END'
import os, select, socket, subprocess, sys
runtime, folder, name = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX)
listener.bind("console.sock")
listener.listen()
oci = [runtime, "--root", folder + "/state"]
subprocess.run(oci + ["create", "--bundle", folder + "/bundle", "--console-socket", folder + "/console.sock", name], check=True)
listener.settimeout(5)
connection, _ = listener.accept()
_, (terminal,), _, _ = socket.recv_fds(connection, 4096, 1)
subprocess.run(oci + ["start", name], check=True)
seen = b""
try:
    while select.select([terminal], [], [], 5)[0]:
        seen += os.read(terminal, 4096)
except OSError:
    pass
print(seen.decode())
END
  assert_success
  assert_has /dev/pts/0
  assert_has "30 100"
  assert_has console
  assert_has own
}
