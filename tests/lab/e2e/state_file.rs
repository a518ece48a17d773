//! The file of the state, where changes are appended: beside many namespaces, a change to one.

use crate::lab::Lab;

/// Many namespaces that are up, a fresh whole state, and one more declaration.
fn many() -> Lab {
    let lab = Lab::new();
    let one = |n: usize| format!("[namespace.n{n}]\ngateway = \"$LAB_SLOW\"\n");
    lab.declare(&(0..150).map(one).collect::<String>());
    lab.ok("nsnat -q up");
    lab.says("wc -l </run/nsnat/state.json", "1");
    lab.ok("printf '[namespace.more]\\ngateway = \"%s\"\\ndns = \"%s\"\\n' $LAB_SLOW $LAB_NEW >>/etc/nsnat/nsnat.toml; cp /run/nsnat/state.json /run/lab/many");
    lab
}

#[test]
fn one_of_many_is_appended_and_the_whole_is_written_now_and_then() {
    let lab = many();
    lab.ok("nsnat -q up more");
    // The intent, and what came of it.
    lab.says("wc -l </run/nsnat/state.json; head -n 1 /run/nsnat/state.json | cmp - /run/lab/many", "3");
    lab.says("nsnat plan; nsnat up; nsnat status -o json | jq '[.namespaces[] | select(.state == \"up\")] | length'", "nothing to do\n151");
    lab.ok("nsnat -q down more");
    lab.says("nsnat status -o json | jq -r '.namespaces[] | select(.name == \"more\").state'", "down");
    let most = "for i in {1..40}; do nsnat -q up more; nsnat -q down more; wc -l </run/nsnat/state.json; done | sort -n";
    let lines: Vec<usize> = lab.ok(most).lines().map(|count| count.parse().unwrap()).collect();
    assert!(lines[0] == 1 && lines[39] > 3 && lines[39] < 30, "{lines:?}");
    lab.ok("nsnat -q down");
    lab.says("ls -d /run/nsnat /run/netns 2>/dev/null || :; nft list ruleset | grep -c nsn- || :", "0");
}

/// The writer of a change was killed in the middle of it: what it was to record had not begun.
#[test]
fn a_change_without_its_end_counts_for_nothing() {
    let lab = many();
    lab.ok("nsnat -q up more; cp /run/nsnat/state.json /run/lab/whole");
    lab.ok("tail -n 1 /run/lab/whole | head -c -20 >>/run/nsnat/state.json");
    lab.says("nsnat plan; nsnat up; wc -l </run/nsnat/state.json", "nothing to do\n3");
    // The next change leaves a file in which nothing is half.
    lab.ok("nsnat -q down more; nsnat -q up more; nsnat plan; jq -c .version /run/nsnat/state.json | sort -u | grep -qx 3");
    lab.ok("nsnat -q down");
    lab.says("ls -d /run/nsnat /run/netns 2>/dev/null || :", "");
}

/// No room for the change: it is not begun, and the file is as it was. strace(1) says so in the kernel's place.
#[test]
fn what_cannot_be_appended_is_not_begun() {
    let lab = many();
    let up = |fault: &str| {
        format!(
            "status=0; timeout 60 strace -f -qq -o /dev/null -P /run/nsnat/state.json -e inject=write:{fault} nsnat up more || status=$?; exit $status"
        )
    };
    lab.ok("nft list ruleset | settled >/run/lab/before");
    let said = lab.fails(1, &up("error=ENOSPC:when=1"));
    assert!(said.contains("write /run/nsnat/state.json"), "{said}");
    lab.says(
        "cmp /run/nsnat/state.json /run/lab/many; nft list ruleset | settled | diff /run/lab/before -",
        "",
    );
    // The intent is there, and what came of it is not: the namespace is complete, so it stays, and that is written then.
    let said = lab.fails(1, &up("error=ENOSPC:when=2"));
    assert!(said.contains("write /run/nsnat/state.json"), "{said}");
    lab.says("nsnat exec more whoami4; nsnat up; nsnat -q down more; nft list ruleset | settled | diff /run/lab/before -", "203.0.113.254\nnothing to do");
    // Killed at the intent, or with what came of it unwritten.
    for nth in [1, 2] {
        lab.fails(137, &up(&format!("signal=KILL:when={nth}")));
        lab.ok("nsnat -q up more; nsnat plan; nsnat exec more whoami4; nsnat -q down more");
        lab.says("nft list ruleset | settled | diff /run/lab/before -", "");
    }
}
