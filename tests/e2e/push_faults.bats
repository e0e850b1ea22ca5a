# Pushing to registries that refuse, break off, forget, lie or lead elsewhere.

load helpers

setup_file() {
  use_home "$BATS_FILE_TMPDIR/template"
  moss import --quiet "$(rootfs_tarball)" alpine
  wait_for 60 is_synced
}

start_mock() {
  command -v python3 >/dev/null || skip "python3 is not installed"
  mkfifo end
  python3 "$BATS_TEST_DIRNAME/push_registry.py" <end >requests 2>mock.log 3>&- &
  mock=$!
  exec 6>end
  wait_for 20 test -s requests
  read -r port other <requests
}

teardown() {
  exec 6>&-
  [[ -z ${mock-} ]] || wait "$mock" || true
  e2e_teardown
}

push_to() { moss push "${@:2}" alpine "127.0.0.1:$port/$1/x:t"; }

# The manifest has arrived, and before it all that it names.
assert_pushed() {
  grep -q "^PUT /v2/$1/x/manifests/t " requests || fail "no manifest came:" "$(cat requests)"
}
# No manifest was sent.
refute_pushed() { ! grep "^PUT /v2/$1/.*/manifests/" requests; }

@test "what the registry refuses is told in its own words, and no manifest is sent" {
  start_mock
  refuses "no pushing on Saturdays" push -q alpine "127.0.0.1:$port/denied/x:t"
  refuses "denied" push -q --creds a:b alpine "127.0.0.1:$port/denied/x:t"
  refuses "takes nothing (405)" push -q alpine "127.0.0.1:$port/readonly/x:t"
  refuses "too large for the registry" push -q alpine "127.0.0.1:$port/small/x:t"
  refuses "(404) (it says: upload unknown)" push -q alpine "127.0.0.1:$port/loses/x:t"
  refute_pushed denied
  refute_pushed readonly
  refute_pushed small
  refute_pushed loses
  refuses "manifest invalid" push -q alpine "127.0.0.1:$port/refuses/x:t"
  refuses "has stored something else" push -q alpine "127.0.0.1:$port/lies/x:t"
}

@test "a registry that leads astray, never ends or never agrees is left" {
  start_mock
  local mode
  for mode in file ftp; do
    refuses "which is not https" push -q alpine "127.0.0.1:$port/$mode/x:t"
  done
  refuses "no Location" push -q alpine "127.0.0.1:$port/nowhere/x:t"
  for mode in http line corrects beyond endless grumbles; do
    run timeout 20 /usr/bin/time -q -f %M -o memory "$MOSS" push -q --retry 1 --retry-delay 10ms alpine "127.0.0.1:$port/$mode/x:t"
    assert_status 125
    ((${#lines[@]} == 1)) || fail "$mode:" "$output"
    (($(tail -n1 memory) < 65536)) || fail "$mode took $(tail -n1 memory) KiB"
    refute_pushed "$mode"
  done
}

@test "a line that breaks goes on where it broke" {
  start_mock
  run push_to breaks -q --retry-delay 10ms
  assert_success
  assert_pushed breaks
  grep -q '^PATCH /v2/breaks/.* [1-9][0-9]*-[0-9]* ' requests || fail "it did not go on:" "$(cat requests)"
}

@test "what the registry forgot is sent again" {
  start_mock
  run push_to forgets -q --retry-delay 10ms
  assert_success
  assert_pushed forgets
}

@test "without retries a break is an error" {
  start_mock
  refuses "send blob" push -q --retry 0 alpine "127.0.0.1:$port/breaks/x:t"
  refute_pushed breaks
}

@test "a registry that is busy is asked again" {
  start_mock
  run push_to busy -q
  assert_success
  assert_pushed busy
}

@test "what is too large for one request goes in pieces, none smaller than the registry wants" {
  start_mock
  run push_to pieces -q
  assert_success
  assert_pushed pieces
  # All but the last of a blob.
  (($(grep -c '^PATCH /v2/pieces/' requests) >= 2))
  run awk '/^PATCH/ && $5 > 1000000 { if (++n > 1) print }' requests
  assert_output ""
}

@test "who we are is told to the registry alone, not to where it leads" {
  start_mock
  run push_to basic -q --creds bob:secret
  assert_success
  assert_pushed basic
  grep -q '^PUT /v2/basic/elsewhere/.* - ' requests || fail "$(cat requests)"
  run grep -c 'elsewhere.*Basic' requests
  assert_output 0
}

@test "a token is asked for to write, and to read where a blob may be mounted from" {
  start_mock
  moss push -q --tls-verify=false alpine "127.0.0.1:$port/token/x:t"
  grep -q '^GET /token?.*pull%2Cpush' requests || fail "$(cat requests)"
  grep -q '^PUT /v2/token/x/manifests/t Bearer_repository:token/x:pull,push ' requests || fail "$(cat requests)"
}

# Removing goes on for a moment after a command.
store_files() { find "$XDG_DATA_HOME/moss" ! -path '*/unsynced*' | sort; }
is_as_before() { [[ $(store_files) == "$1" ]]; }

@test "nothing is left of a push that is killed" {
  start_mock
  local before i
  before=$(store_files)
  for i in 0.02 0.05 0.1 0.15 0.2; do
    timeout -s KILL $i "$MOSS" push -q --compression-format zstd --compression-level 19 alpine "127.0.0.1:$port/ok$i/x:t" || true
  done
  # What was compressed anew is removed by the next command that adds something.
  tar -cf empty.tar -T /dev/null
  moss import -q empty.tar empty >/dev/null
  moss rmi empty >/dev/null
  wait_for 20 is_as_before "$before" || fail "left behind:" "$(store_files | diff - <(echo "$before"))"
}
