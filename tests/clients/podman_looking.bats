# The same image in Podman's store and in moss's: what the two print about it is the same, byte for byte.
# as: user

load helpers

setup_file() {
  need podman
  make_work
  use_podman
  export XDG_DATA_HOME=$work/data
  mkdir -m 700 "$XDG_DATA_HOME"
  podman import --quiet --message "some words" --change CMD=sh --change 'ENV A=1' --change LABEL=kind=test "$(rootfs_tarball)" localhost/alpine
  podman save --quiet --format oci-archive --output "$work/image.tar" localhost/alpine
  moss load --quiet --input "$work/image.tar"
  podman tag localhost/alpine example.com/team/other:2
  moss tag localhost/alpine example.com/team/other:2
}
# What is looked at stays from test to test.
setup() { cd "$BATS_TEST_TMPDIR"; }
teardown() { :; }
teardown_file() { remove_work; }

# Both with the same words: the same output and exit code. Asked up to three times, since "2 seconds ago" is "3 seconds
# ago" when a second passes between them.
same() {
  local theirs code try
  for try in 1 2 3; do
    theirs=$(podman "$@" 2>&1) && code=0 || code=$?
    run moss "$@"
    [[ $output != "$theirs" && $output$theirs == *" ago"* ]] || break
  done
  [[ $status == "$code" ]] || fail "exit code $status, not $code: $*" "$output"
  [[ $output == "$theirs" ]] || fail "$*" "podman: $theirs" "moss:   $output"
}

@test "images" {
  same images --noheading --format '{{.ID}} {{.Repository}} {{.Tag}} {{.Size}}'
  same images
  same images -n
  same images --no-trunc
  same images -q
  same images -q --no-trunc
  same images --format 'table {{.ID}} {{.Tag}}'
  same images --format 'table {{.RepoTags}}\t{{.Size}}'
  same images --format '{{.ID}}\t{{.Repository}}'
  same images --format '{{range .}}{{.ID}}{{end}}'
  same images --format '{{.CreatedAt}}|{{.CreatedTime}}|{{.CreatedSince}}|{{.Dangling}}|{{.Names}}|{{.Labels}}|{{.ReadOnly}}'
  same images --format '{{json .Names}} {{upper .Repository}} {{join .Names ","}} {{len .Names}} {{printf "%-8s|" .Tag}}'
  same images --format '{{if .Dangling}}a{{else}}b{{end}}{{with .Tag}}{{.}}{{end}}{{range $i, $n := .Names}}{{$i}}{{$n}}{{end}}'
  same images --sort tag
  same images --sort repository
  same images --filter dangling=true
  same images --filter dangling=false
  same images --filter label=nothing
  same images --filter before=localhost/alpine
}

@test "history, tree and exists" {
  same history localhost/alpine
  same history --no-trunc localhost/alpine
  same history --quiet localhost/alpine
  same history --human=false --format '{{.ID}} {{.Created}} {{.CreatedAt}}' localhost/alpine # its manual says sizes too, it does not
  same history --format json localhost/alpine
  same history --format '{{.ID}}|{{.Created}}|{{.CreatedAt}}|{{.CreatedSince}}|{{.CreatedBy}}|{{.Size}}|{{.Comment}}' localhost/alpine
  same history --format 'table {{.ID}}\t{{.Size}}' localhost/alpine
  same image exists localhost/alpine
  same image exists nothing
  # Podman counts the manifest and the config in an image's size, which shows in the head alone.
  [[ $(podman image tree localhost/alpine | sed 3d) == "$(moss image tree localhost/alpine | sed 3d)" ]]
}

@test "diff of two images" {
  local tree=$work/before
  mkdir -p "$tree"/{same,changed,mode,gone,file,deep/a/b,touched,etc}
  echo f | tee "$tree"/{same/f,changed/f,mode/f,gone/f,file/f,deep/a/b/f,later,folder,away} >/dev/null
  ln -s a "$tree/link"
  find "$tree" -exec touch --no-dereference --date @1000000000 {} +
  cp -a "$tree" "$work/after"
  cd "$work/after"
  rm -r gone file folder away link
  mkdir -p folder new/sub
  echo more | tee changed/f file folder/f new/sub/f deep/a/b/new etc/new >/dev/null
  chmod 600 mode/f
  ln -s elsewhere link
  touch later touched
  local name
  for name in before after; do
    tar -C "$work/$name" --numeric-owner -cf "$work/$name.tar" .
    podman import --quiet "$work/$name.tar" "localhost/$name"
    moss import --quiet "$work/$name.tar" "localhost/$name"
  done
  local one two
  for one in before after; do
    for two in before after; do
      diff <(podman diff "localhost/$one" "localhost/$two" | LC_ALL=C sort -k2) <(moss diff "localhost/$one" "localhost/$two")
    done
  done
  for name in before after; do
    podman rmi "localhost/$name" >/dev/null
    moss rmi "localhost/$name" >/dev/null
  done
}

@test "inspect" {
  same inspect --format '{{.Id}} {{.ID}} {{.Config.Cmd}} {{.Labels}} {{.RepoTags}} {{.RootFS.Layers}} {{json .RootFS}}' localhost/alpine
  same image inspect --format '{{.Created}} {{.Os}}/{{.Architecture}} {{.Author}}.' localhost/alpine
  # Every member but those that tell of the store: sizes, its driver, digests of the manifest it made itself.
  local members='map(del(.Size, .VirtualSize, .GraphDriver, .Digest, .RepoDigests, .NamesHistory, .ManifestType))'
  diff <(podman inspect localhost/alpine | jq -S "$members") <(moss inspect localhost/alpine | jq -S "$members")
}

@test "inspect of a container" {
  remove_both
  mkdir "$work/volume"
  local options=(--detach --name c --network none --volume "$work/volume:/data" --tmpfs /scratch --env A=b --cap-add NET_RAW --cap-drop CHOWN
    --hostname host --label k=v --workdir /tmp --user 12:34 --stop-signal INT --ulimit nofile=100:200 --entrypoint sleep)
  podman run "${options[@]}" localhost/alpine 100
  moss run "${options[@]}" localhost/alpine 100
  # Every member that moss has, but those that name folders, processes and times, and those in which the two are not the
  # same: Podman's annotations and its own cgroup, the limit of processes it adds, capabilities and variables that moss
  # does not give.
  local members='.[0] | del(.Id, .Created, .State.Pid, .State.ConmonPid, .State.StartedAt, .State.OciVersion, .StaticDir,
    .ResolvConfPath, .HostnamePath, .HostsPath, .OCIConfigPath, .OCIRuntime, .LogPath, .GraphDriver, .NetworkSettings.SandboxKey,
    .ImageDigest, .BoundingCaps, .HostConfig.LogConfig.Path, .HostConfig.CapAdd, .HostConfig.Binds, .HostConfig.Tmpfs, .HostConfig.Runtime,
    .HostConfig.Ulimits, .HostConfig.ShmSize, .HostConfig.CgroupMode, .HostConfig.Cgroups, .HostConfig.IpcMode,
    .HostConfig.IDMappings, .HostConfig.Init, .Config.Annotations, .Config.Env, .Config.CreateCommand)' known
  moss inspect c | jq -S "$members" >ours.json
  # shellcheck disable=SC2016 # jq's
  known='. as $all | [paths(type != "object" and type != "array")] | map(. as $p | select(all($p[]; type == "string"))) | .[]'
  jq -c "$known" ours.json >members
  (($(wc -l <members) > 80)) || fail "few members: $(wc -l <members)"
  podman inspect c | jq -S "$members" >theirs.json
  while read -r known; do
    diff <(jq -c "getpath($known)" theirs.json) <(jq -c "getpath($known)" ours.json) || fail "$known"
  done <members
  diff <(jq -S .Mounts theirs.json) <(jq -S .Mounts ours.json)
  diff <(jq -S .Args theirs.json) <(jq -S .Args ours.json)
  same inspect --format '{{.Path}} {{.Args}} {{.Config.Entrypoint}} {{.Config.Cmd}} {{.State.FinishedAt}} {{.State.Health}} {{.Config.Labels}}' c
  same inspect --format '{{.HostConfig.RestartPolicy}} {{.HostConfig.PortBindings}} {{.NetworkSettings.Ports}} {{.HostConfig.VolumesFrom}}' c
  same container inspect --latest --format '{{range .Mounts}}{{.Source}}:{{.Destination}}:{{.RW}} {{end}}{{.GraphDriver.Name}} {{.EffectiveCaps}}'
  remove_both
}

@test "lists of nothing" {
  same ps --all
  same ps --all --noheading
  same ps --format json
  same ps --all --format '{{.ID}}'
}

# The same work in a container of each, which stays.
work_in_both() {
  podman run --network none --name c localhost/alpine sh -c "$1"
  moss run --network none --name c localhost/alpine sh -c "$1"
}
remove_both() {
  podman rm --force --ignore --time 0 c >/dev/null
  moss rm --force --time 0 c >/dev/null
}

# A folder that was removed and made again is deleted for Podman, though it is there; for moss it is changed.
@test "diff" {
  remove_both
  work_in_both 'echo a >/etc/added; echo b >>/etc/motd; rm /etc/issue; mkdir -p /new/deep; touch /new/deep/file
    rm -r /media; ln -s x /opt/link; chmod 700 /home'
  [[ $(podman diff c | sort -k 2) == "$(moss diff c | sort -k 2)" ]] || fail podman: "$(podman diff c | sort -k 2)" moss: "$(moss diff c | sort -k 2)"
  remove_both
}

@test "Podman runs what moss committed, and moss what Podman did" {
  need skopeo
  remove_both
  work_in_both 'echo new >/etc/added; ln /etc/added /etc/second; rm /etc/issue; chown 12:34 /etc/motd; rm -r /srv; mkdir /srv; touch /srv/x'
  moss commit --quiet c made
  podman commit --quiet c theirs
  local look='cat /etc/second; ls /etc/issue 2>&1; stat -c "%u %g" /etc/motd; stat -c %h /etc/added; ls /srv' expected
  expected=$(moss run --rm --network none made sh -c "$look" 2>&1) || true
  [[ $expected == *"new"*"No such file"*"12 34"*2*x ]] || fail "$expected"
  skopeo --insecure-policy copy --quiet "oci:$XDG_DATA_HOME/moss:localhost/made:latest" "oci-archive:$work/made.tar:localhost/made:latest"
  podman load --quiet --input "$work/made.tar"
  run podman run --rm --network none localhost/made sh -c "$look"
  assert_output "$expected"
  podman save --quiet --format oci-archive --output "$work/theirs.tar" localhost/theirs
  moss load --quiet --input "$work/theirs.tar"
  run moss run --rm --network none theirs sh -c "$look"
  assert_output "$expected"
  remove_both
}

@test "system df --verbose" {
  remove_both
  podman create --name c --network none localhost/alpine sh -c 'echo some words that are not cut off' >/dev/null
  moss run --name c --network none localhost/alpine sh -c 'echo some words that are not cut off' >/dev/null
  # Sizes and order follow from the stores, ids and ages from the containers.
  local line='s/ [0-9.]+(k|M)?B / SIZE /g; s/(Less than a|[0-9]+|About a) (second|minute)s?/AGE/; s/^[0-9a-f]{12} /ID /; s/ (created|exited) / STATUS /; s/ +/ /g'
  diff <(podman system df --verbose | grep -v ^[a-z0-9] | sed 's/ *$//') <(moss system df --verbose | grep -v ^[a-z0-9] | sed 's/ *$//')
  diff <(podman system df --verbose | sed -E "$line" | sort) <(moss system df --verbose | sed -E "$line" | sort)
  remove_both
}

@test "of the image commands no option and no command of Podman's is unknown" {
  local command option words asked=0
  for command in {,image\ }{pull,push,search,history,save,load,import,diff} login logout images tag untag rmi image\ {tree,prune,rm,mount,unmount,exists,inspect,ls,build,scp,sign,trust} \
    export commit mount unmount diff build unshare manifest\ {create,add,annotate,inspect,push,rm,remove,exists} system\ {df,prune,reset,info,connection,migrate,renumber,service}; do
    read -ra words <<<"$command"
    run moss "${words[@]}" --help
    refute_has unknown
    [[ $output != *"is not supported: "* ]] || continue
    for option in $(podman "${words[@]}" --help | grep -oE -- '^ +(-[a-zA-Z], )?--[a-z-]+' | tr -d ,); do
      asked=$((asked + 1))
      run moss "${words[@]}" "$option"
      refute_has "unknown option $option"
    done
  done </dev/null
  ((asked > 150))
}
