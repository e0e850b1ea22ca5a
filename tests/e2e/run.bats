# What `moss run` promises about the process it starts: exit codes, environment, user, limits.

load helpers

# --- exit codes ---

@test "the command's exit code is moss's" {
  run in_alpine -- sh -c 'exit 42'
  assert_status 42
  assert_output ""
}

@test "a command killed by a signal is 128 and its number" {
  run in_alpine --init -- sh -c 'kill -KILL $$'
  assert_status 137
  run in_alpine --init -- sh -c 'kill -TERM $$'
  assert_status 143
}

@test "a command that is not there is 127" {
  run -127 in_alpine -- /no/such/command
  assert_has /no/such/command
  run -127 in_alpine -- no-such-command
  assert_has no-such-command
}

@test "a command that cannot be executed is 126" {
  run in_alpine -- /etc/passwd
  assert_status 126
  assert_has /etc/passwd
  run in_alpine -- /etc
  assert_status 126
}

@test "an error of moss itself is 125" {
  refuses "no-such-image" run --rm --network none --pull never no-such-image true
}

@test "an unknown option is refused by its name" {
  refuses --no-such-option run --no-such-option alpine true
  refuses --no-such-option exec --no-such-option x true
  refuses --no-such-option ps --no-such-option
  refuses --no-such-option images --no-such-option
  assert_no_containers
}

@test "an option of Podman's that moss has not is refused by its name" {
  refuses --memory-swappiness run --memory-swappiness=1 alpine true
  refuses --log-opt run --log-opt x=y alpine true
}

@test "options after the image are the command's" {
  run in_alpine -- echo --rm -v --privileged
  assert_success
  assert_output "--rm -v --privileged"
}

@test "two dashes end the options" {
  run moss run --rm --network none -- alpine echo -- -x
  assert_success
  assert_output "-- -x"
}

@test "an unknown command names itself" {
  refuses frobnicate frobnicate
}

# --- streams ---

@test "standard output and error stay apart" {
  in_alpine -- sh -c 'echo out; echo err >&2' >out 2>err
  [[ $(cat out) == out && $(cat err) == err ]]
}

@test "stdin reaches the command with -i only" {
  [[ $(echo hello | in_alpine -i -- cat) == hello ]]
  [[ -z $(echo hello | in_alpine -- cat) ]]
}

@test "a megabyte passes both ways unchanged" {
  head -c 1000000 /dev/urandom >random
  in_alpine -i -- cat <random >copy
  cmp random copy
}

# --- environment ---

@test "no variable of the caller's gets in" {
  HOST_SECRET=leaked run in_alpine -- env
  assert_success
  refute_has leaked
  refute_has "$BATS_TEST_TMPDIR"
}

@test "-e sets a variable, and takes the caller's where no value is given" {
  MINE=yours run in_alpine -e A=1 -e B= -e "C=two words" -e MINE -e UNSET_HERE -- sh -c 'echo "$A,$B,$C,$MINE,${UNSET_HERE-unset}"'
  assert_success
  assert_output "1,,two words,yours,unset"
}

@test "the last -e of a name wins over --env-file and the image" {
  printf '# comment\n\nA=file\nB=file\n' >vars
  make_image envs '{"Env":["A=image","B=image","C=image"]}'
  run moss run --rm --network none --env-file vars -e A=option envs sh -c 'echo $A $B $C'
  assert_success
  assert_output "option file image"
}

@test "a variable without a name is refused" {
  refuses "=x" run --rm --network none -e =x alpine true
  printf 'A=1\n=x\n' >vars
  refuses vars run --rm --network none --env-file vars alpine true
}

@test "--env-file reads from a pipe" {
  run in_alpine --env-file <(echo A=piped) -- sh -c 'echo $A'
  assert_success
  assert_output piped
}

@test "an image's variable without a value takes nothing from the host" { # CVE-2026-57231
  make_image grabby '{"Env":["HOST_SECRET","HOST_*","*","GOOD=1"]}'
  HOST_SECRET=leaked run moss run --rm --network none grabby env
  assert_success
  refute_has leaked
  assert_has GOOD=1
}

@test "HOME, PATH, HOSTNAME and container are set" {
  run in_alpine --hostname box -- sh -c 'echo $HOME $HOSTNAME $container; [ -n "$PATH" ]'
  assert_success
  assert_output "/root box moss"
}

# --- command and entrypoint ---

@test "the image's entrypoint and command make the command line" {
  make_image words '{"Entrypoint":["echo","entry"],"Cmd":["cmd"]}'
  run moss run --rm --network none words
  assert_output "entry cmd"
  run moss run --rm --network none words mine too
  assert_output "entry mine too"
  run moss run --rm --network none --entrypoint echo words
  assert_output ""
  run moss run --rm --network none --entrypoint '["echo","json"]' words x
  assert_output "json x"
  run moss run --rm --network none --entrypoint "" words echo bare
  assert_output bare
}

@test "an image's command is never an option of moss" {
  make_image sneaky '{"Entrypoint":["--privileged"],"Cmd":["-v","/:/host"]}'
  run -127 moss run --rm --network none sneaky
  assert_has "--privileged"
}

@test "an image without a command is refused" {
  refuses command run --rm --network none alpine
}

# --- working folder ---

@test "-w is where the command starts, made when missing" {
  run in_alpine -w /usr/bin -- pwd
  assert_output /usr/bin
  run in_alpine -w /new/folder -- pwd
  assert_success
  assert_output /new/folder
}

@test "a working folder by descriptor is refused" { # CVE-2024-21626
  local n
  for n in 3 4 5 6 7 8 9 10; do
    run in_alpine -w "/proc/self/fd/$n" -- pwd
    assert_status 125
  done
  make_rootfs root
  ln -s /proc/self/fd/7 root/sneaky
  run moss run --rm --network none --rootfs -w /sneaky "$PWD/root" cat ../../../../../../etc/hostname
  ((status != 0))
  assert_no_containers
}

@test "a working folder through a symlink stays inside" { # CVE-2026-55686
  make_victim victim
  local before
  before=$(picture_of victim)
  make_rootfs root
  ln -s "$PWD/victim" root/work
  run moss run --rm --network none --rootfs -w /work/new/folder "$PWD/root" pwd
  [[ $(picture_of victim) == "$before" ]]
}

# --- files, names, labels ---

@test "--cidfile and --pidfile tell the id and the process" {
  moss run -d --name n --network none --cidfile cid --pidfile pid alpine sleep 100 >id
  [[ $(cat cid) == "$(cat id)" ]]
  [[ $(tr '\0' ' ' <"/proc/$(cat pid)/cmdline") == "sleep 100 " ]]
  run moss inspect n
  assert_has "$(cat cid)"
  run moss run --rm --network none --cidfile cid alpine true
  assert_status 125
  assert_has cid
}

@test "--preserve-fds passes those descriptors on and no other" {
  echo three >three
  echo four >four
  run in_alpine --preserve-fds 1 -- sh -c 'cat <&3; (true <&4) 2>/dev/null || echo closed' 3<three 4<four
  assert_success
  assert_output $'three\nclosed'
  run moss run --rm --network none --preserve-fds 1 alpine true 3<&-
  assert_status 125
}

@test "a name in use is refused, --replace takes it" {
  moss run --name n --network none alpine true
  refuses " n" run --name n --network none alpine true
  run moss run --replace --name n --network none alpine echo second
  assert_success
  assert_output second
  run moss ps --all --quiet
  ((${#lines[@]} == 1))
}

@test "a name that is no name is refused" {
  local name
  for name in ../x a/b "a b" -x .; do
    run moss run --rm --network none "--name=$name" alpine true
    assert_status 125
  done
}

@test "labels and annotations are kept" {
  moss run --name n --network none --label a=1 --label "b=two words" --annotation key=value alpine true
  moss inspect n >json
  [[ $(jq -r '.[0].Config.Labels.a + .[0].Config.Labels.b' json) == "1two words" ]]
  grep -q '"key": *"value"' json
  run moss ps --all --quiet --filter label=a=1
  ((${#lines[@]} == 1))
}
