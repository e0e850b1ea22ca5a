# Looking at images and containers: lists, --format, --filter, --sort, inspect, history, tree, names.

load helpers

@test "images are sorted, filtered and formatted" {
  make_image small '{"Cmd":["true"],"Labels":{"kind":"small"}}'
  moss tag small example.com/team/small:2
  run moss images --format '{{.Repository}} {{.Tag}}' --sort repository
  assert_output $'example.com/team/small 2\nlocalhost/alpine latest\nlocalhost/small latest'
  run moss images --noheading --format 'table {{.Tag}} {{.Repository}}' --filter label=kind=small --sort tag
  assert_output $'2           example.com/team/small\nlatest      localhost/small'
  run moss images --format '{{.Repository}}' --filter 'label!=kind'
  assert_output localhost/alpine
  run moss images --format '{{.Repository}}' --filter reference='team/s*'
  assert_output example.com/team/small
  run moss images --format '{{.Repository}}' small
  assert_output $'localhost/small\nexample.com/team/small'
  run moss images --quiet --filter dangling=true
  assert_output ""
  run moss images --quiet small
  ((${#lines[@]} == 1))
  run moss images --format '{{join .Names ","}} {{len .RepoDigests}}' --filter id="${lines[0]}"
  assert_output $'localhost/small:latest,example.com/team/small:2 2\nlocalhost/small:latest,example.com/team/small:2 2'
}

@test "filters by time and by other images" {
  make_image later '{"Cmd":["true"]}'
  run moss images --noheading --filter until=1h
  assert_has localhost/later # its config tells no time: it is of 1970
  refute_has localhost/alpine
  run moss images --format '{{.Repository}}' --filter since=later
  assert_output localhost/alpine
  run moss images --format '{{.Repository}}' --filter before=alpine
  assert_output localhost/later
  moss run --name user --network none alpine true
  run moss images --format '{{.Repository}} {{.Containers}}' --filter containers=true
  assert_output "localhost/alpine 1"
  moss untag later
  run moss images --format '{{.Repository}} {{.Tag}} {{.Dangling}}' --filter dangling=true
  assert_output "<none> <none> true"
}

@test "what is wrong with a list's options is said" {
  refuses "--format: template: 1:3: <.Foo>: can't evaluate field Foo; there are Repository" images --format '{{.Foo}}'
  refuses "is never closed" images --format '{{.ID'
  refuses "use created, id, repository" images --sort colour
  refuses "--filter colour is not supported; use reference" images --filter colour=red
  refuses "expected NAME=VALUE" images --filter dangling
  refuses "use true or false" images --filter dangling=perhaps
  refuses "no such image" images --filter before=nothing
  refuses "is no time" images --filter until=yesterday
  refuses "exclude each other" images --quiet --format json
  refuses "no pods" ps --pod
  refuses "--filter pod is not supported" ps --filter pod=x
  refuses "use command, created" ps --sort colour
  refuses "--filter exited=x" ps --filter exited=x
}

@test "tag and untag give and take names" {
  moss tag alpine one two:2
  run moss images --format '{{.Repository}}:{{.Tag}}' --sort repository
  assert_output $'localhost/alpine:latest\nlocalhost/one:latest\nlocalhost/two:2'
  moss untag alpine one
  refuses "localhost/one:latest: tag not known" untag alpine one
  refuses "image not known" tag nothing x
  # A name that is none changes nothing.
  refuses "lower case" tag alpine good BAD
  run ! moss image exists good
  moss untag alpine
  run moss images --format '{{.Repository}}'
  assert_output "<none>"
}

@test "exists answers with the exit code alone" {
  moss image exists alpine
  run -1 moss image exists nothing
  assert_output ""
  moss run --name here --network none alpine true
  moss container exists here
  run -1 moss container exists nothing
  assert_output ""
}

@test "inspect through a template" {
  make_image shown '{"Cmd":["a","b"],"Env":["X=1"],"Labels":{"l":"v"},"WorkingDir":"/usr"}'
  run moss inspect --format '{{.Config.Cmd}} {{index .Config.Env 0}} {{.Config.Labels.l}} {{json .Config.Cmd}} {{.Config.Entrypoint}}' shown
  assert_output '[a b] X=1 v ["a","b"] []'
  run moss image inspect --format '{{.Id}}' shown
  assert_output "$(moss images --quiet --no-trunc shown | cut -d: -f2)"
  moss run --name box --network none --label k=w alpine sh -c 'exit 3' || true
  run moss inspect --format '{{.State.ExitCode}} {{.State.Status}} {{.Name}} {{.Config.Labels.k}}' box
  assert_output '3 exited box w'
  run moss inspect --size --format '{{.SizeRw}} {{gt .SizeRootFs 1000000}}' box
  assert_output '0 true'
  run moss inspect --latest --format '{{.Name}}'
  assert_output box
  refuses "there are" inspect --format '{{.State.Nothing}}' box
  run -125 moss image inspect box
  assert_has "image not known"
  run -125 moss container inspect alpine
  assert_has "no container with name or id"
  # What is there is shown although something is not.
  run moss inspect --format '{{.Name}}' box nothing
  assert_status 125
  assert_has box
  assert_has nothing
}

@test "inspect of a container tells what it was started with" {
  make_image worded '{"Entrypoint":["sleep"],"Cmd":["5"],"User":"daemon"}'
  mkdir folder
  moss run -d --name c -p 127.0.0.1::80 -v "$PWD/folder:/data:ro" --read-only --privileged -i worded 100 >/dev/null
  run moss inspect --format '{{.Path}} {{.Args}} {{.Config.Entrypoint}} {{.Config.Cmd}} {{.Config.User}} {{.Config.OpenStdin}}' c
  assert_output 'sleep [100] sleep [100] daemon true'
  run moss inspect --format '{{range .Mounts}}{{.Source}} {{.Destination}} {{.RW}} {{.Propagation}}{{end}} {{.HostConfig.Binds}}' c
  assert_output "$PWD/folder /data false rprivate [$PWD/folder:/data:rbind,rro]"
  run moss inspect --format '{{.HostConfig.Privileged}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.PidMode}} {{.State.Paused}}' c
  assert_output "true true private false"
  port=$(moss inspect --format '{{(index .NetworkSettings.Ports "80/tcp" 0).HostPort}}' c)
  ((port > 0))
  [[ $(moss inspect --format '{{.ImageDigest}}' c) == "$(moss image inspect --format '{{.Digest}}' worded)" ]]
  place=$(moss inspect --format '{{.ResolvConfPath}}' c)
  cmp <(moss exec c cat /etc/resolv.conf) "$place"
  [[ $(readlink "$(moss inspect --format '{{.NetworkSettings.SandboxKey}}' c)") == net:* ]]
  moss stop --time 0 c >/dev/null
  run moss inspect --format '{{.ResolvConfPath}}|{{.NetworkSettings.SandboxKey}}|{{.State.Status}}' c
  assert_output '||exited'
  run moss inspect --format '{{.State.Dead}} {{.State.CheckpointedAt}}' c
  assert_output "false 0001-01-01 00:00:00 +0000 UTC"
  refuses "moss has no volumes" inspect --type volume c
  # One that was made before moss wrote all this down.
  record=$(moss inspect --format '{{.StaticDir}}' c)/container.json
  jq -c 'del(.imageDigest, .entrypointWords, .user, .interactive, .privileged)' "$record" >older
  cp older "$record"
  run moss inspect --format '{{.ImageDigest}}|{{.Config.Entrypoint}}|{{.Config.Cmd}}' c
  assert_output '||[sleep 100]'
}

@test "a stranger's control bytes do not reach a terminal" {
  make_image evil '{"Cmd":["true"],"Labels":{"l":"\u001b]0;owned\u0007"}}'
  run script -qec "$MOSS inspect --format '{{.Config.Labels.l}}' evil" /dev/null
  assert_has '\x1b]0;owned\x07'
  [[ $output != *$'\e]0'* ]] || fail "an escape sequence came through"
  # A pipe gets what is there.
  [[ $(moss inspect --format '{{.Config.Labels.l}}' evil) == $'\e]0;owned\a' ]]
}

@test "history tells an image's steps" {
  run moss history --format '{{.ID}} {{.CreatedBy}} {{.Comment}}' alpine
  assert_has "moss import"
  run moss history --quiet --no-trunc alpine
  assert_output "$(moss images --quiet --no-trunc alpine | cut -d: -f2)"
  [[ $(moss history --format json alpine | jq -r '.[0].CreatedBy') == "moss import" ]]
  size=$(moss history --human=false --format '{{.Size}}' alpine)
  [[ $size == "$(moss inspect --format '{{.Size}}' alpine)" ]]
  refuses "image not known" history nothing
  run moss inspect --format '{{range .History}}{{.CreatedBy}} {{.EmptyLayer}}{{end}} {{.GraphDriver.Name}}' alpine
  assert_output "moss import false overlay"
}

@test "tree shows layers, and who builds on them" {
  mkdir more && echo x >more/file
  tar -C more -cf more.tar file
  make_image base '{"Cmd":["true"]}'
  make_image derived '{"Cmd":["true"]}' more.tar
  run moss image tree derived
  assert_has "Top Layer of: [localhost/derived:latest]"
  ((${#lines[@]} == 6)) # four of the head, two layers
  run moss image tree --whatrequires base
  assert_has "localhost/derived:latest"
  run moss image tree --whatrequires derived
  refute_has "localhost/base:latest]"
}

@test "ps is sorted, filtered and formatted" {
  moss run --name b --network none --label x=1 alpine sh -c 'echo 12345 >/f; exit 4' || true
  moss run --name a --network none -v "$PWD:/data" alpine true
  moss run -d --name c --network none alpine sleep 100 >/dev/null
  run moss ps --all --format '{{.Names}} {{.State}} {{.ExitCode}}' --sort names
  assert_output $'a exited 0\nb exited 4\nc running 0'
  run moss ps --all --format '{{.Names}}' --filter label=x=1
  assert_output b
  run moss ps --format '{{.Names}}' --filter exited=4
  assert_output b
  run moss ps --all --format '{{.Names}}' --filter name='^[ab]$' --sort created
  assert_output $'b\na'
  run moss ps --all --format '{{.Names}}' --filter volume=/data
  assert_output a
  run moss ps --all --format '{{.Names}}' --filter before=a
  assert_output b
  run moss ps --all --format '{{.Names}}' --filter ancestor=alpine --filter status=running
  assert_output c
  run moss ps --last 2 --format '{{.Names}}'
  assert_output $'a\nc'
  run moss ps --latest --format '{{.Names}} {{.Mounts}}'
  assert_output "c "
  run moss ps --all --size --format '{{.Size}}' --filter name=b
  assert_has "6B (virtual "
  run moss ps --ns --format '{{.Names}} {{.PIDNS}}'
  assert_output "c $(readlink "/proc/$(moss inspect --format '{{.State.Pid}}' c)/ns/pid" | tr -dc 0-9)"
  moss ps --all --format json >json
  [[ $(jq -r 'map(select(.Names[0] == "a"))[0].Mounts[0]' json) == /data ]]
}

@test "ps shows its list again and again" {
  moss run -d --name w --network none alpine sleep 100 >/dev/null
  run timeout 5 "$MOSS" ps --noheading --format '{{.Names}}' --watch 1
  assert_status 124
  ((${#lines[@]} >= 2)) || fail "$output"
  [[ ${lines[0]} == w && ${lines[1]} == w ]]
  refuses "expected a number of seconds" ps --watch 0
}

@test "version and info through templates" {
  run moss version --format '{{.Client.Version}}'
  assert_output "$(moss --version | cut -d' ' -f3)"
  run moss version --format '{{.Version}} {{.OsArch}}'
  assert_has linux/
  run moss info --format '{{.Host.Arch}} {{.Store.GraphRoot}} {{.Store.ImageStore.Number}}'
  assert_has "$XDG_DATA_HOME/moss 1"
  refuses "can't evaluate field" info --format '{{.Host.Colour}}'
  echo 'unqualified-search-registries = ["one.example", "two.example"]' >registries.conf
  export CONTAINERS_REGISTRIES_CONF=$PWD/registries.conf
  run moss info --format '{{.Registries}} {{index .Registries "search"}}{{range index .Registries "search"}} {{.}}{{end}}'
  assert_output 'map[search:[one.example two.example]] [one.example two.example] one.example two.example'
  [[ $(moss info --format json | jq -r '.registries["search"] | .[]') == $'one.example\ntwo.example' ]]
}

@test "info is JSON in a home whose name is no UTF-8" {
  local home=$PWD/$'m\xff'
  XDG_DATA_HOME=$home moss info --format json >info.json
  [[ $(jq -r .store.graphRoot info.json) == "$PWD/m"$'\ufffd'/moss ]]
  [[ $(XDG_DATA_HOME=$home moss info --format '{{.Store.ImageStore.Number}}') == 0 ]]
}

@test "what moss has not says what there is instead" {
  refuses "moss image trust is not supported: write it into ~/.config/containers/policy.json" image trust show
  refuses "moss image scp is not supported: use moss save" image scp alpine host::
  refuses "moss build is not supported: " build .
  refuses "moss system service is not supported: " system service
  refuses "--rootless-netns is not supported: containers of moss share no network namespace" unshare --rootless-netns true
  refuses "unknown command image frob" image frob
}
