//! Bad input: an error in the contract's form, never a path or an nft string.

use crate::lab::Lab;

/// What is no name, as a bash word.
const BAD_NAMES: [&str; 11] = [
    "a/b",
    "..",
    "../x",
    "/run/x",
    "$'a\\nb'",
    "'a\"b'",
    "\"a'b\"",
    "'a b'",
    "''",
    "$'\\xff'",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
];

#[test]
fn names_that_are_none_on_the_command_line() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"");
    let before = lab.snapshot();
    for name in BAD_NAMES {
        for command in
            ["add N --gateway $LAB_SLOW", "up N", "down N", "remove N", "plan N", "status N", "ps N"]
        {
            let output = lab.sh(&format!("nsnat {}", command.replace('N', name)));
            let fine = output.status == 2 && !output.stderr.is_empty() && !output.stderr.contains("panicked");
            assert!(fine, "a usage error is needed:\n{output}");
        }
        let output = lab.sh(&format!("nsnat exec {name} true"));
        assert!(matches!(output.status, 2 | 125), "{output}");
        let output = lab.sh(&format!("nsnat shell {name} </dev/null"));
        assert!(matches!(output.status, 2 | 125), "{output}");
    }
    lab.same(&before, "after names that are none");
}

/// The same in a file: all of them in one run, each with its line.
#[test]
fn names_that_are_none_in_the_configuration() {
    let lab = Lab::new();
    let names = ["a/b", "..", "a\\nb", "a\\\"b", "a'b", "", &"a".repeat(65)];
    let declared = names.map(|name| format!("[namespace.\"{name}\"]\ngateway = \"192.168.1.254\"\n"));
    let text = declared.concat();
    lab.ok(&format!("mkdir /etc/nsnat; cat >/etc/nsnat/nsnat.toml <<'END'\n{text}END"));
    let before = lab.snapshot();
    for command in ["up", "plan", "list", "add more --gateway $LAB_SLOW"] {
        let words = lab.fails(2, &format!("nsnat {command}"));
        for line in (1..=2 * names.len()).step_by(2) {
            assert!(
                words.contains(&format!("nsnat.toml:{line}:")),
                "line {line} is missing ({command}):\n{words}"
            );
        }
    }
    lab.same(&before, "after a bad configuration");
}

/// For programs, each problem with its place.
#[test]
fn problems_of_the_configuration_as_data() {
    let lab = Lab::new();
    lab.declare("[namespace.a]\ngateway = \"$LAB_SLOW\"\nipv6 = \"perhaps\"\nfoo = 1");
    for command in ["up", "plan", "status", "list", "add b --gateway $LAB_SLOW", "remove a"] {
        let told = lab.sh(&format!("nsnat -o json {command} 2>/dev/null >/run/lab/told || echo $?; jq -c '.problems[] | .file, .line, .column, (.help | type)' /run/lab/told | paste -sd' '"));
        let place = "\"/etc/nsnat/nsnat.toml\"";
        let wanted = format!("2\n{place} 3 8 \"string\" {place} 4 1 \"string\"\n");
        assert!(told.stdout == wanted, "{command}: {told}");
    }
}

#[test]
fn configurations_that_cannot_be_read() {
    let lab = Lab::new();
    lab.ok("mkdir /etc/nsnat");
    for (what, make, words) in [
        ("half written", "printf '[namespace.slow]\\ngateway = \"192.1' >FILE", "FILE:2:"),
        ("cut in the middle of a key", "printf '[namespace.slow]\\ngatew' >FILE", "FILE:2:"),
        ("not text", "head -c 4096 /dev/urandom >FILE", "FILE"),
        ("zeros", "head -c 4096 /dev/zero >FILE", "FILE"),
        ("100 MB", "truncate -s 100M FILE", "FILE"),
        ("100 MB of text", "yes '# nothing' | head -c 100000000 >FILE || true", "FILE"),
        ("without end", "ln -s /dev/zero FILE", "FILE"),
        ("a directory", "mkdir FILE", "FILE"),
        ("a pipe", "mkfifo FILE", "FILE"),
        ("a loop of links", "ln -s FILE FILE", "FILE"),
    ] {
        for file in ["/etc/nsnat/nsnat.toml", "/etc/nsnat/conf.d/x.toml"] {
            lab.ok(&format!("rm -rf {file}; mkdir -p /etc/nsnat/conf.d; {}", make.replace("FILE", file)));
            let before = lab.snapshot();
            for command in ["up", "plan", "add more --gateway $LAB_SLOW"] {
                let output = lab.sh(&format!("ulimit -v 2000000; timeout 20 nsnat {command}"));
                let fine =
                    matches!(output.status, 1 | 2) && output.stderr.contains(&words.replace("FILE", file));
                assert!(
                    fine && output.stderr.len() < 4000,
                    "{what}: an error that names it is needed:\n{output}"
                );
            }
            lab.same(&before, what);
            // Without the configuration, as `down` does its work.
            lab.says("nsnat down", "nothing to do");
            lab.ok(&format!("rm -rf {file}"));
        }
    }
    let words = lab.fails(2, "nsnat --config /nowhere/x.toml up");
    assert!(words.contains("/nowhere/x.toml"), "{words}");
}

#[test]
fn unknown_names_get_the_nearest_known_one() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"");
    for command in ["up slwo", "plan slwo", "remove slwo", "status slwo"] {
        let output = lab.sh(&format!("nsnat {command}"));
        assert!(output.status != 0 && output.stderr.contains("slow"), "{output}");
    }
    assert!(lab.fails(1, "nsnat down slow").contains("not up"));
}

#[test]
fn bad_usage_changes_nothing() {
    let lab = Lab::new();
    let before = lab.snapshot();
    for words in [
        "",
        "upp",
        "up --nonsense",
        "add",
        "add slow",
        "exec",
        "exec slow",
        "add slow --gateway nonsense",
        "add slow --gateway $LAB_SLOW --dns nonsense",
        "add slow --gateway $LAB_SLOW --rewrite 8.8.8.8",
        "add slow --gateway $LAB_SLOW --subnet 10.0.0.0/33",
        "-o xml status",
        "completions nonsense",
        "help nonsense",
        "help dns nonsense",
    ] {
        let output = lab.sh(&format!("nsnat {words}"));
        assert!(output.status == 2 && !output.stderr.is_empty(), "`nsnat {words}`:\n{output}");
        // What is wrong, then the next step; without any words, the help.
        let (why, hint) = output.stderr.trim_end().split_once('\n').unwrap_or_default();
        let told = why.starts_with("nsnat: ") && hint.starts_with("hint: ") && !hint.contains('\n');
        assert!(told || words.is_empty(), "`nsnat {words}`:\n{output}");
    }
    lab.same(&before, "after bad usage");
}

/// Nobody reads it: the status is what is left to tell.
#[test]
fn standard_error_that_cannot_be_written() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"\n");
    lab.ok("mkdir -p /etc/netns/slow; touch /etc/netns/slow/not-in-etc; nsnat up");
    for (status, command) in [
        (125, "exec nonexistent true"),
        (127, "exec slow nonexistent"),
        (1, "status nonexistent"),
        (2, "--nonsense"),
        (4, "exec slow sh -c 'exit 4'"),
        (127, "exec --gateway $LAB_SLOW -- nonexistent"),
        (4, "exec --gateway $LAB_SLOW --report -- sh -c 'sleep 1 >/dev/null 2>&1 & exit 4'"),
        (0, "which 1 || test $? = 1"),
    ] {
        lab.ok(&format!("nsnat {command} 2>/dev/full && status=0 || status=$?; [ $status = {status} ]"));
    }
}

/// What is wrong is told of the option: there is no file yet.
#[test]
fn options_of_add() {
    let lab = Lab::new();
    let before = lab.snapshot();
    for (options, option) in [
        ("--gateway $LAB_SLOW --mtu 100", "mtu"),
        ("--gateway $LAB_SLOW --ipv6 maybe", "ipv6"),
        ("--gateway $LAB_SLOW --subnet 10.0.0.0/8", "subnet"),
        ("--gateway $LAB_SLOW --allow nobody-is-called-so", "allow"),
        ("--gateway 127.0.0.1", "gateway"),
        ("--gateway 192.0.2.77", "gateway"),
        ("--dev nothing0", "dev"),
        ("--uplink nowhere", "uplink"),
    ] {
        let words = lab.fails(2, &format!("nsnat add x {options}"));
        let fine = words.starts_with(&format!("nsnat: --{option}: ")) && !words.contains("toml");
        assert!(fine, "{options}: {words}");
    }
    lab.same(&before, "after options that are refused");
    lab.declare("[uplink.a]\ngateway = \"$LAB_SLOW\"\n[uplink.b]\ngateway = \"$LAB_THIRD\"");
    lab.ok("nsnat -q add x --uplink b --uplink a --mtu 1400 --lan false --ipv6 off --allow games");
    lab.says("cat /etc/nsnat/conf.d/x.toml", "[namespace.x]\nuplink = [\"b\", \"a\"]\nlan = false\nmtu = 1400\nipv6 = \"off\"\nallow = [\"games\"]");
    lab.says(
        "nsnat exec x whoami4; ip -n x -o link show eth0 | grep -o 'mtu [0-9]*'",
        "203.0.113.3\nmtu 1400",
    );
}

/// What is typed in another order, or is of another kind, is told what would do.
#[test]
fn words_that_are_taken_for_others() {
    let lab = Lab::new();
    lab.ok("nsnat add slow --gateway $LAB_SLOW");
    for (line, cure) in [
        ("dns test slow", "the name of the namespace comes first: nsnat dns slow test"),
        ("dns set slow 9.9.9.9", "the name of the namespace comes first: nsnat dns slow set 9.9.9.9"),
        ("dns slow tset", "similar subcommands exist: "),
        ("which 8.8.8.8", "is not the number of a process"),
        ("which 0", "is not the number of a process"),
    ] {
        let told = lab.fails(2, &format!("nsnat {line}"));
        assert!(told.contains(cure), "{line}: {told}");
    }
}
