# Completion of moss(1) for bash: options come from each verb's own --help.
_moss() {
  local word=${COMP_WORDS[COMP_CWORD]} verb=${COMP_WORDS[1]}
  if ((COMP_CWORD == 1)); then
    mapfile -t COMPREPLY < <(compgen -W "$(moss --help | awk '/^  [a-z]/ { print $1 }')" -- "$word")
    return
  fi
  case $verb in
    container | image | system)
      if ((COMP_CWORD == 2)); then
        mapfile -t COMPREPLY < <(compgen -W "$(moss "$verb" --help | awk '/^  [a-z]/ { print $1 }')" -- "$word")
        return
      fi
      verb+=" ${COMP_WORDS[2]}" ;;
  esac
  if [[ $word == -* ]]; then
    local options
    # shellcheck disable=SC2086 # one word or two
    options=$(moss $verb --help 2>/dev/null | awk '/^  -/ { gsub(",", " ", $1); print $1 }')
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    return
  fi
  case ${verb##* } in
    exec | logs | stop | kill | wait | rm | commit | export | mount | unmount | umount)
      mapfile -t COMPREPLY < <(compgen -W "$(moss ps -a --noheading 2>/dev/null | awk '{ print $NF }')" -- "$word") ;;
    run | rmi | images | debug | history | tag | untag | tree)
      mapfile -t COMPREPLY < <(compgen -W "$(moss images --noheading 2>/dev/null | awk '{ print $1 ":" $2 }')" -- "$word") ;;
    inspect | diff)
      mapfile -t COMPREPLY < <(compgen -W "$(moss ps -a --noheading 2>/dev/null | awk '{ print $NF }') $(moss images --noheading 2>/dev/null | awk '{ print $1 ":" $2 }')" -- "$word") ;;
    *) mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
  esac
}
complete -o default -F _moss moss
