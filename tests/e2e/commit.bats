# diff, export and commit: what a container changed, as lines, as a tar and as an image.

load helpers

# A container that has done one of everything.
change_things() {
  moss run --name c --network none alpine sh -c '
    echo new >/etc/added; echo changed >>/etc/motd; rm /etc/issue
    rm -r /srv; mkdir /srv; echo x >/srv/inside
    ln /etc/added /etc/second; ln -s added /etc/link; mkfifo /etc/fifo
    mkdir -p /deep/er; chown 1000:1001 /deep/er; chmod 2750 /deep/er
    echo owned >/deep/er/file; chown 12:34 /deep/er/file; chmod 4755 /deep/er/file
    rm -r /media'
}

# What diff says of that.
things_changed="A /deep
A /deep/er
A /deep/er/file
C /etc
A /etc/added
A /etc/fifo
D /etc/issue
A /etc/link
C /etc/motd
A /etc/second
D /media
C /srv
A /srv/inside"

@test "diff shows what was added, changed and deleted" {
  change_things
  run moss diff c
  assert_success
  assert_output "$things_changed"
  run moss diff --format json c
  [[ $(jq -r '.deleted | join(" ")' <<<"$output") == "/etc/issue /media" ]]
  [[ $(jq -r '.added | index("/srv/inside") != null' <<<"$output") == true ]]
  run moss diff --latest
  assert_has "A /etc/added"
  run moss diff alpine
  assert_has "A /etc/passwd"
  refuses "no container or image" diff nothing
  refuses "use json" diff --format table c
}

@test "diff of two names shows what makes the second the first" {
  change_things
  moss commit --quiet c changed >/dev/null
  moss run --name other --network none alpine sh -c 'echo other >/etc/other; chmod 700 /etc; touch /etc/motd' >/dev/null
  run moss diff c alpine
  assert_output "$things_changed"
  local changes=$output
  run moss image diff changed alpine
  assert_output "$changes"
  run moss diff changed c
  assert_success
  assert_output ""
  # The other way round.
  run bash -c '"$0" diff alpine changed | grep -v ^A./media/' "$MOSS"
  assert_output "D /deep
C /etc
D /etc/added
D /etc/fifo
A /etc/issue
D /etc/link
C /etc/motd
D /etc/second
A /media
C /srv
D /srv/inside"
  run moss container diff other c
  assert_has "C /etc"
  assert_has "A /etc/other"
  assert_has "D /etc/added"
  assert_has "A /etc/issue"
  assert_has "D /deep"
  run moss diff --format json other alpine
  [[ $(jq -c .added <<<"$output") == '["/etc/other"]' ]]
  # Of what became a file nothing else is told.
  moss run --name file --network none alpine sh -c 'rm -r /srv /media; touch /srv; ln -s etc /media'
  run moss diff file changed
  assert_has "C /srv"
  assert_has "A /media"
  refute_has /srv/inside
  refute_has /media/
  refuses "no container or image nothing" diff c nothing
  refuses "no image other" image diff alpine other
  refuses "alpine" container diff c alpine
  refuses "give one container or image, or --latest" diff --latest c
  moss run --name mapped --userns keep-id --network none alpine true
  run moss diff mapped alpine
  assert_output ""
  refuses "map ids differently" diff mapped c
}

@test "what was committed is what the container had" {
  change_things
  moss commit --quiet --author "A. Nonymous" --message "some words" --change 'ENV X=1' --change CMD=cat --iidfile id c made:1
  run moss images --quiet --no-trunc made:1
  assert_output "sha256:$(<id)"
  run moss inspect --format '{{.Author}}|{{.Comment}}|{{index .Config.Env 1}}|{{.Config.Cmd}}|{{len .RootFS.Layers}}' made:1
  assert_output 'A. Nonymous|some words|X=1|[/bin/sh -c cat]|2'
  run moss run --rm --network none made:1 sh -c 'cat /etc/second; readlink /etc/link; stat -c "%a %u %g" /deep/er /deep/er/file; ls /srv; ls /etc/issue /media; stat -c %h /etc/added; test -p /etc/fifo && echo fifo'
  assert_has "new
added
2750 1000 1001
4755 12 34
inside"
  assert_has "/etc/issue: No such file"
  assert_has "/media: No such file"
  assert_has "2
fifo"
  # The same files give the same layer.
  first=$(moss inspect --format '{{index .RootFS.Layers 1}}' made:1)
  moss commit --quiet c made:2
  [[ $(moss inspect --format '{{index .RootFS.Layers 1}}' made:2) == "$first" ]]
  run moss system check
  assert_success
}

@test "squash makes one layer of everything" {
  change_things
  moss commit --squash c flat
  run moss inspect --format '{{len .RootFS.Layers}} {{len .History}}' flat
  assert_output "1 1"
  run moss run --rm --network none flat sh -c 'cat /etc/second; ls /srv; ls /etc/issue; cat /etc/os-release | head -1'
  assert_has new
  assert_has inside
  assert_has "/etc/issue: No such file"
}

@test "a container's words become those of the image" {
  make_image based '{"Entrypoint":["echo","hi"],"Cmd":["there"],"Env":["PATH=/bin:/usr/bin","A=1"],"User":"daemon","WorkingDir":"/usr","Labels":{"l":"1"}}'
  moss run --name same --network none based you
  moss commit --quiet same one
  run moss inspect --format '{{.Config.Entrypoint}} {{.Config.Cmd}} {{.Config.Env}} {{.Config.User}} {{.Config.WorkingDir}} {{.Config.Labels}}' one
  assert_output '[echo hi] [you] [PATH=/bin:/usr/bin A=1] daemon /usr map[l:1]'
  moss run --name other --network none --entrypoint true -u 12:34 -w /tmp -e B=2 --label m=2 -v "$PWD:/data" based
  moss commit --quiet --include-volumes other two
  run moss inspect --format '{{.Config.Entrypoint}} {{.Config.Cmd}} {{.Config.Env}} {{.Config.User}} {{.Config.WorkingDir}} {{.Config.Labels}} {{.Config.Volumes}}' two
  assert_output '[] [true] [PATH=/bin:/usr/bin A=1 B=2] 12:34 /tmp map[l:1 m:2] map[/data:{}]'
}

@test "skopeo and umoci read what commit writes" {
  command -v skopeo >/dev/null && command -v umoci >/dev/null || skip "skopeo or umoci is not installed"
  change_things
  moss commit --quiet c made
  skopeo --insecure-policy copy -q "oci:$XDG_DATA_HOME/moss:localhost/made:latest" oci:copy:made
  as_owner umoci unpack --image copy:made bundle >/dev/null 2>&1 || as_owner umoci unpack --rootless --image copy:made bundle
  [[ $(cat bundle/rootfs/etc/second) == new ]]
  [[ ! -e bundle/rootfs/etc/issue && ! -e bundle/rootfs/media && -e bundle/rootfs/srv/inside ]]
  [[ $(stat -c %h bundle/rootfs/etc/added) == 2 ]]
  moss commit --quiet --format docker c dock
  run moss inspect --format '{{.ManifestType}}' dock
  assert_output application/vnd.docker.distribution.manifest.v2+json
  skopeo --insecure-policy copy -q "oci:$XDG_DATA_HOME/moss:localhost/made:latest" docker-archive:made.tar:made:1
  moss load --quiet --input made.tar >/dev/null
  as_owner rm -rf bundle
}

@test "export writes all files, and the same bytes each time" {
  change_things
  moss export c >one.tar
  moss export --output two.tar c
  cmp one.tar two.tar
  tar -tvf one.tar >list
  grep -q ' 12/34 .* deep/er/file$' list
  grep -q '^p.* etc/fifo$' list
  grep -q 'etc/second link to etc/added$' list
  grep -q 'etc/link -> added$' list
  ! grep -q etc/issue list
  [[ $(tar -xOf one.tar etc/added) == new ]]
  moss import --quiet one.tar again
  run moss run --rm --network none again cat /etc/second
  assert_output new
  run script -qec "$MOSS export c" /dev/null
  assert_has "nothing for a terminal"
}

@test "a folder's container is exported, and neither committed nor compared" {
  make_rootfs root
  moss run --name f --network none --rootfs root true
  moss export f | tar -t >list
  grep -q '^etc/passwd$' list
  refuses "made of a folder" commit f image
  refuses "nobody kept what it was before" diff f
}

@test "a running container is compared and committed" {
  moss run -d --name r --network none alpine sh -c 'echo x >/made; sleep 100' >/dev/null
  wait_for 10 moss exec r test -s /made
  run moss diff r
  assert_has "A /made"
  moss commit --quiet r live
  run moss run --rm --network none live cat /made
  assert_output x
  refuses "use oci or docker" commit --format tar r other
  refuses "lower case" commit r OTHER
}

stands_still() { grep -q '^State:.t' "/proc/$1/status"; }
goes_on() { ! stands_still "$1" && [[ $(moss exec r cat /tick) != "$2" ]]; }

@test "a paused container stands still while it is committed, and goes on though moss is killed" {
  moss run -d --name r --network none alpine sh -c 'truncate -s 200M /big
    (while :; do /bin/true; done) & # processes that come and go
    i=0; while :; do i=$((i + 1)); echo $i >/next; mv /next /tick; done' >/dev/null
  wait_for 10 moss exec r test -s /tick
  pid=$(moss inspect --format '{{.State.Pid}}' r)
  "$MOSS" commit --quiet --pause r killed 3>&- & # not the function: that would be a shell with moss below it
  wait_for 10 stands_still "$pid"
  kill -KILL $!
  wait_for 10 goes_on "$pid" "$(moss exec r cat /tick)"
  moss exec r truncate -s 0 /big
  moss commit --quiet --pause r paused
  wait_for 10 goes_on "$pid" "$(moss exec r cat /tick)"
  [[ $(moss run --rm --network none paused cat /tick) -gt 0 ]]
  run ! moss image exists killed
  # One that does not run has nothing to be paused.
  moss stop --time 0 r >/dev/null
  moss commit --quiet --pause r stopped
}

@test "what cannot be paused is not committed with --pause, and left as it is" {
  moss run -d --name host --pid host --network none alpine sleep 100 >/dev/null
  refuses "shares the host's process ids (--pid host)" commit --quiet --pause host image
  moss run -d --name r --network none alpine sleep 100 >/dev/null
  pid=$(moss inspect --format '{{.State.Pid}}' r)
  python3 -c 'import ctypes, sys, time
assert ctypes.CDLL(None).ptrace(0x4206, int(sys.argv[1]), None, None) == 0 # PTRACE_SEIZE
print(flush=True)
time.sleep(60)' "$pid" >seized 3>&- &
  debugger=$!
  wait_for 10 test -s seized
  run -125 moss commit --quiet --pause r image
  kill "$debugger"
  assert_has "process $pid"
  run ! moss image exists image
  moss exec r true
}

@test "names that mean removals are refused, and long and strange ones kept" {
  moss run --name w --network none alpine touch /tmp/.wh.passwd
  refuses 'means a removal' commit w evil
  moss export w | tar -t | grep -q '^tmp/.wh.passwd$'
  long=$(printf 'n%.0s' {1..200})
  moss run --name l --network none alpine sh -c "mkdir -p /tmp/$long/$long; echo deep >/tmp/$long/$long/x; touch '/tmp/\$(printf \"\\303\\244\\n\")'; printf y >\"/tmp/$(printf '\303\244')\""
  moss commit --quiet l long
  run moss run --rm --network none long cat "/tmp/$long/$long/x" "/tmp/$(printf '\303\244')"
  assert_output $'deep\ny'
}

@test "extended attributes of users are kept, overlayfs's own are not" {
  command -v setfattr >/dev/null || skip "setfattr is not installed"
  moss run --name x --network none alpine touch /file
  as_owner setfattr -n user.colour -v green "$(echo "$XDG_DATA_HOME"/moss/containers/*/upper)/file"
  as_owner setfattr -n user.overlay.redirect -v /etc "$(echo "$XDG_DATA_HOME"/moss/containers/*/upper)/file"
  moss export x >x.tar
  tar --xattrs --xattrs-include='*' -tvvf x.tar file >list
  grep -q user.colour list
  ! grep -q overlay list
}

@test "a container that swaps its files for links and pipes meanwhile reads nothing of the host" {
  make_victim victim
  before=$(picture_of victim)
  moss run -d --name evil --network none alpine sh -c "
    mkdir -p /work/dir; echo mine >/work/dir/file
    while :; do
      rm -rf /work/dir; ln -s $PWD/victim /work/dir; rm /work/dir; mkdir /work/dir; mkfifo /work/dir/file; rm /work/dir/file
      ln -s $PWD/victim/file /work/dir/file; rm /work/dir/file; echo mine >/work/dir/file
    done" >/dev/null
  wait_for 10 moss exec evil test -d /work
  end=$((SECONDS + 8))
  tries=0
  while ((SECONDS < end)); do
    # It may see a folder change under its hands; it may not wait, crash, or follow.
    timeout 20 "$MOSS" export evil >out.tar
    ! grep -aq precious out.tar || fail "a file of the host's came along"
    timeout 20 "$MOSS" diff evil >/dev/null
    tries=$((tries + 1))
  done
  timeout 60 "$MOSS" commit --quiet evil caught
  moss export evil >/dev/null
  moss run --name copy --network none caught true
  moss export copy >out.tar
  ! grep -aq precious out.tar || fail "a file of the host's is in the image"
  ((tries > 1))
  [[ $(picture_of victim) == "$before" ]]
}
