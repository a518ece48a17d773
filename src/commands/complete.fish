# Completion of nsnat for fish. nsnat itself says what can come next.

function __nsnat_complete
    set -l words (commandline -opc)[2..-1] (commandline -ct)
    set -l said (nsnat __complete -- $words 2>/dev/null)
    switch "$said[1]"
        case 'command *'
            # Another command line; words are counted from 0 there.
            set -l begun (math (string replace 'command ' '' -- $said[1]) + 1)
            set -l line
            for word in $words[$begun..-1]
                set -a line (string escape -- $word)
            end
            # The last word is what is being typed.
            complete -C (string join ' ' -- $line[1..-2] $words[-1])
        case files
            __fish_complete_path (commandline -ct)
        case words
            printf '%s\n' $said[2..-1]
    end
end

complete -c nsnat -f -a '(__nsnat_complete)'
