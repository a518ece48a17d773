//! A flow that existed before the rewrite changed.

use super::programs::ASKS;
use super::watched::Watched;

/// NAT decides on a flow's first packet: a program that keeps its socket would go on asking the old server.
#[test]
fn a_socket_that_is_kept_follows_every_change() {
    let lab = Watched::new();
    lab.slow("dns = \"$LAB_NEW\"");
    // The names come through a fifo that somebody else keeps open.
    lab.ok(&format!(
        "mkfifo /run/lab/names; sleep infinity >/run/lab/names 2>&1 & echo $! >/run/lab/keeper
        nsnat exec slow -- {} 8.8.8.8 </run/lab/names >/run/lab/answers 2>&1 &",
        *ASKS
    ));
    let ask = |name: &str, count: usize, expected: &str| {
        let script = format!(
            "echo {name} >/run/lab/names
            for ((i = 0; i < 250; i++)); do [ $(wc -l </run/lab/answers) -ge {count} ] && break; sleep 0.02; done
            tail -n 1 /run/lab/answers"
        );
        lab.says(&script, expected);
    };
    ask("to-new.first.example.test", 1, "answer 53");
    lab.ok("nsnat dns slow set $LAB_SECOND");
    ask("to-second.then.example.test", 2, "answer 54");
    lab.ok("nsnat dns slow set $LAB_NEW:5353");
    ask("to-new-5353.then.example.test", 3, "answer 153");
    lab.ok("nsnat dns slow set --rewrite 8.8.8.8=$LAB_SECOND");
    ask("to-second.again.example.test", 4, "answer 54");
    // With several, the flow to each of them has a zone of its own.
    lab.ok("nsnat dns slow set $LAB_NEW $LAB_OLD");
    ask("to-new.several.example.test", 5, "answer 53");
    lab.ok("nsnat dns slow set $LAB_SECOND $LAB_OLD");
    ask("to-second.several.example.test", 6, "answer 54");
    lab.ok("nsnat dns slow clear");
    ask("to-old.last.example.test", 7, "answer 1");
    // It was one socket all the time.
    lab.says("nsnat exec slow ss -Hun 'dport = 53' | wc -l; kill $(cat /run/lab/keeper)", "1");
    lab.finish();
}
