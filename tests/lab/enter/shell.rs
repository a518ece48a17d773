//! `nsnat shell` and `nsnat which`: where am I, and how do I get out?

use crate::world;

/// A user's home with a prompt and something else in each shell's start-up file; `try SHELL` types into one on a terminal.
const HOME: &str = r#"
mkdir home tmp; export HOME=$PWD/home TMPDIR=$PWD/tmp TERM=dumb; unset ZDOTDIR XDG_CONFIG_HOME
echo 'PS1="own-bash> "; hello() { echo from-bashrc; }' > home/.bashrc
echo 'SEEN=from-zshenv' > home/.zshenv; echo 'PS1="own-zsh> "; hello() { echo from-zshrc $SEEN $ZDOTDIR; }' > home/.zshrc
mkdir -p home/.config/fish
echo 'function fish_prompt; echo -n "own-fish> "; end; function hello; echo from-fishrc; end' > home/.config/fish/config.fish
try() {
    SHELL=$(command -v $1) || { echo "$1 is not installed"; return; }
    export SHELL; shift
    printf '%s\n' "$@" "$N which" exit | timeout 200 script -qec "$N shell x" /dev/null | tr -d '\r' | sed 's/\x1b\[[?0-9;]*[A-Za-z]//g' > said
}
"#;

/// What a shell shows for `hello` on a terminal, and how often its prompt is marked.
#[track_caller]
fn shows(shell: &str, expected: &str) {
    let script =
        format!("{HOME}try {shell} hello; grep -q '(x) own-{shell}> ' said && echo marked; grep '^from' said; grep -x x said
        grep -c 'in namespace x; \"exit\" or Ctrl-D leads out' said; ls -A $HOME tmp | grep 'nsnat\\|^tmp\\.'; true");
    assert_eq!(world::stdout(&script), expected, "{shell}");
}

#[test]
fn bash() {
    shows("bash", "marked\nfrom-bashrc\nx\n1\n");
}

#[test]
fn zsh() {
    shows("zsh", "marked\nfrom-zshrc from-zshenv\nx\n1\n");
}

#[test]
fn fish() {
    shows("fish", "marked\nfrom-fishrc\nx\n1\n");
}

/// Themes set the prompt anew each time.
#[test]
fn prompts_that_are_made_each_time() {
    let script = format!(
        "{HOME}echo 'theme() {{ PS1=\"theme> \"; }}; PROMPT_COMMAND=\"theme;\"' > home/.bashrc
        echo 'precmd() {{ PS1=\"theme> \"; }}' > home/.zshrc
        for shell in bash zsh; do try $shell 'echo 1' 'echo 2'; grep -o '(x) theme> ' said | wc -l; done"
    );
    assert_eq!(world::stdout(&script), "4\n4\n");
}

/// bash runs each element of the array.
#[test]
fn prompts_that_the_last_of_several_commands_makes() {
    let script = format!(
        "{HOME}echo 'theme() {{ PS1=\"theme> \"; }}; PROMPT_COMMAND=(true theme)' > home/.bashrc
        try bash 'echo 1' 'echo 2'; grep -o '(x) theme> ' said | wc -l"
    );
    assert_eq!(world::stdout(&script), "4\n");
}

/// Where the host's start-up file takes ZDOTDIR, the prompt is the user's own, and nothing is left.
#[test]
fn a_zsh_that_the_host_sends_elsewhere() {
    let script = format!(
        "{HOME}mkdir e elsewhere; cp -r /etc/passwd /etc/ld.so.cache e; mkdir e/zsh; mount --bind e /etc
        echo \"ZDOTDIR=$PWD/elsewhere\" | tee e/zsh/zshenv >e/zshenv; cp home/.zshrc elsewhere
        try zsh hello; grep -o '^from-zshrc' said; grep -x x said; ls -A tmp"
    );
    assert_eq!(world::stdout(&script), "from-zshrc\nx\n");
}

/// A shell without a start-up file of its own, and one that is not there. What is typed stands before a prompt or behind it, by
/// what the terminal had first: only what the shell made of it tells.
#[test]
fn other_shells() {
    let script = format!(
        "{HOME}try dash 'echo hello from $0'; grep -c '^(x) # ' said; grep -o 'hello from /.*' said
        printf 'echo still $((40 + 2))\nexit\n' | script -qec \"SHELL=/nonexistent $N shell x\" /dev/null | grep -c 'still 42'"
    );
    assert_eq!(world::stdout(&script), "3\nhello from /usr/bin/dash\n1\n");
}

#[test]
fn without_a_terminal_nothing_is_said() {
    let script = format!(
        "{HOME}echo 'echo hello; exit' | SHELL=/bin/dash $N shell x 2>&1 | grep -o 'leads out\\|hello'"
    );
    assert_eq!(world::stdout(&script), "hello\n");
}

#[test]
fn from_inside_another_namespace() {
    let script = "ip netns add y; record y
        $N exec x $N exec y sh -c 'ip netns identify; echo $NSNAT_NAMESPACE; readlink /proc/self/ns/net > in; ls /sys/class/net'
        $N exec x $N exec y $N which; $N exec x $N which; $N which $$ || echo host
        $N exec x $N exec --pid y $N exec x ip netns identify; $N exec x $N exec x ip netns identify
        cp $N /run/n; chmod 755 /run/n; $N exec x setpriv --reuid 4001 --clear-groups /run/n which";
    assert_eq!(world::stdout(script), "y\ny\nlo\ny\nx\nhost\nx\nx\nx\n");
}
