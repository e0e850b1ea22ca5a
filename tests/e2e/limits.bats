# Names, limits and kernel parameters of a container, and its first process.

load helpers

@test "--hostname is seen by uname, /etc/hostname and /etc/hosts" {
  run in_alpine --hostname box.example -- sh -c 'hostname; cat /etc/hostname; grep -c "box.example" /etc/hosts'
  assert_success
  assert_output $'box.example\nbox.example\n1'
}

@test "--umask is the command's, 0022 without it" {
  run in_alpine --umask 0077 -- sh -c umask
  assert_output 0077
  run in_alpine -- sh -c umask
  assert_output 0022
  refuses --umask run --rm --network none --umask 8 alpine true
}

@test "--ulimit sets soft and hard limits" {
  run in_alpine --ulimit nofile=64:128 --ulimit core=0 -- sh -c 'ulimit -Sn; ulimit -Hn; ulimit -c'
  assert_success
  assert_output $'64\n128\n0'
  refuses nosuchlimit run --rm --network none --ulimit nosuchlimit=1 alpine true
  refuses nofile run --rm --network none --ulimit nofile=2:1 alpine true
}

@test "--sysctl sets the namespaces' own, and refuses the host's" {
  run in_alpine --sysctl kernel.msgmax=1234 -- cat /proc/sys/kernel/msgmax
  assert_success
  assert_output 1234
  run in_alpine --sysctl net.ipv4.ip_forward=1 -- cat /proc/sys/net/ipv4/ip_forward
  assert_output 1
  local sysctl
  for sysctl in kernel.core_pattern=x vm.swappiness=1 kernel.msgmax net/../kernel/core_pattern=x; do
    run in_alpine --sysctl "$sysctl" -- true
    assert_status 125
  done
}

@test "--shm-size is the size of /dev/shm" {
  run in_alpine --shm-size 2m -- df -k /dev/shm
  assert_success
  assert_has " 2048 "
}

@test "--read-only closes the root, not /dev/shm" {
  run in_alpine --read-only -- touch /file
  assert_status 1
  assert_has "Read-only file system"
  run in_alpine --read-only -- touch /dev/shm/file
  assert_success
}

@test "--init is process 1, passes signals on and reaps" {
  run in_alpine --init -- sh -c 'echo $$; (sleep 0.1 &); sleep 0.3; ps -o stat | grep -c ^Z'
  [[ ${lines[0]} != 1 && ${lines[1]} == 0 ]] || fail "$output"
  moss run -d --init --name n --network none alpine sh -c 'trap "exit 7" TERM; echo ready; while :; do sleep 0.05; done' >/dev/null
  wait_for 30 eval 'moss logs n | grep -q ready'
  moss kill --signal TERM n >/dev/null
  run moss wait n
  assert_output 7
}

@test "--init shows nothing of the caller's inside" { # CVE-2019-5736
  local moss_words=/proc/1/cmdline
  HOST_SECRET=leaked run in_alpine --init --cap-add all -- sh -c "tr '\\0' '\n' <$moss_words; cat /proc/1/comm /proc/1/environ; head -c 4 /proc/1/exe; head -c 4 /proc/1/mem"
  assert_has moss-init
  refute_has leaked
  refute_has --network
  refute_has ELF
  (($(grep -c "Permission denied" <<<"$output") >= 2)) || fail "$output"
}

@test "exec enters a container with --init" {
  moss run -d --init --name n --network none alpine sh -c 'echo ready >/tmp/file; exec sleep 100' >/dev/null
  run moss exec -u nobody n sh -c 'id -u; tr "\0" " " </proc/2/cmdline'
  assert_success
  assert_output $'65534\nsleep 100 '
}

@test "a signal to moss reaches the command" {
  "$MOSS" run --rm --network none alpine sh -c 'trap "echo got it; exit 9" TERM; echo ready; while :; do sleep 0.05; done' >out &
  local moss=$!
  wait_for 30 grep -q ready out
  kill -TERM "$moss"
  local status=0
  wait "$moss" || status=$?
  ((status == 9))
  grep -q "got it" out
}

@test "a host name that is none is refused" {
  local name
  for name in a/b "a b" -x .; do
    run moss run --rm --network none "--hostname=$name" alpine true
    assert_status 125
  done
}
