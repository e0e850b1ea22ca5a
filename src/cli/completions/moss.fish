# Completion of moss(1) for fish: options come from each verb's own --help.
function __moss_verb
    set -l words (commandline -opc)
    test (count $words) -gt 1; and echo $words[2]
end
function __moss_options
    set -l verb (__moss_verb); or return
    contains -- $verb container image system; and set verb $verb (commandline -opc)[3]
    moss $verb --help 2>/dev/null | awk '/^  -/ { n = split($1, names, ","); for (i = 1; i <= n; ++i) print names[i] }'
end
complete -c moss -n 'test -z (__moss_verb)' -f -a "(moss --help | awk '/^  [a-z]/ { print \$1 }')"
complete -c moss -n 'contains -- (__moss_verb) container image system; and test (count (commandline -opc)) -eq 2' -f -a "(moss (__moss_verb) --help | awk '/^  [a-z]/ { print \$1 }')"
complete -c moss -n 'string match -q -- "-*" (commandline -ct)' -f -a '(__moss_options)'
complete -c moss -n 'contains -- (__moss_verb) exec logs stop kill wait rm inspect diff commit export mount unmount umount' -f -a "(moss ps -a --noheading 2>/dev/null | awk '{ print \$NF }')"
complete -c moss -n 'contains -- (__moss_verb) run rmi images debug inspect history tag untag diff' -f -a "(moss images --noheading 2>/dev/null | awk '{ print \$1 \":\" \$2 }')"
