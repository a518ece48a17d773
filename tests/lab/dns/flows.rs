//! A flow that existed before the rewrite changed.

use super::watched::{OneSocket, Watched};

/// NAT decides on a flow's first packet: a program that keeps its socket would go on asking the old server.
#[test]
fn a_socket_that_is_kept_follows_every_change() {
    let lab = Watched::new();
    lab.slow("dns = \"$LAB_NEW\"");
    let socket = OneSocket::new(&lab);
    socket.asks("to-new.first.example.test", "answer 53");
    lab.ok("nsnat dns slow set $LAB_SECOND");
    socket.asks("to-second.then.example.test", "answer 54");
    lab.ok("nsnat dns slow set $LAB_NEW:5353");
    socket.asks("to-new-5353.then.example.test", "answer 153");
    lab.ok("nsnat dns slow set --rewrite 8.8.8.8=$LAB_SECOND");
    socket.asks("to-second.again.example.test", "answer 54");
    // With several, the flow to each of them has a zone of its own.
    lab.ok("nsnat dns slow set $LAB_NEW $LAB_OLD");
    socket.asks("to-new.several.example.test", "answer 53");
    lab.ok("nsnat dns slow set $LAB_SECOND $LAB_OLD");
    socket.asks("to-second.several.example.test", "answer 54");
    lab.ok("nsnat dns slow clear");
    socket.asks("to-old.last.example.test", "answer 1");
    // It was one socket all the time.
    lab.says("nsnat exec slow ss -Hun 'dport = 53' | wc -l", "1");
    lab.finish();
}

/// Whoever edits a declaration at this moment keeps nobody from asking another server.
#[test]
fn queries_are_sent_elsewhere_while_a_declaration_has_a_mistake() {
    let lab = Watched::new();
    lab.slow("dns = \"$LAB_NEW\"");
    let socket = OneSocket::new(&lab);
    socket.asks("to-new.first.example.test", "answer 53");
    lab.ok("mkdir -p /etc/nsnat/conf.d; echo '[namespace.half' >/etc/nsnat/conf.d/half.toml");
    let told = lab.fails(2, "nsnat up slow");
    assert!(told.contains("half.toml"), "{told}");
    lab.ok("nsnat dns slow set $LAB_SECOND");
    socket.asks("to-second.then.example.test", "answer 54");
    lab.ok("rm /etc/nsnat/conf.d/half.toml");
    lab.finish();
}
