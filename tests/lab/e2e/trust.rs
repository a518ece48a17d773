//! Root obeys no configuration that others may write.

use crate::lab::Lab;

/// What is done to a good configuration, the path that is named, who is said to be able to write it, and owner and
/// mode as they are said.
const SCENES: [(&str, &str, &str, &str); 11] = [
    ("chmod 666 $F", "/etc/nsnat/conf.d/slow.toml", "everybody", "owner root, group root, mode 0666"),
    (
        "chgrp games $F; chmod 664 $F",
        "/etc/nsnat/conf.d/slow.toml",
        "group games",
        "owner root, group games, mode 0664",
    ),
    ("chown nobody $F", "/etc/nsnat/conf.d/slow.toml", "user nobody", "owner nobody, group root, mode 0644"),
    ("chmod 777 $D", "/etc/nsnat/conf.d", "everybody", "owner root, group root, mode 0777"),
    // Nobody can replace a file in it, and everybody can add one.
    ("chmod 1777 $D", "/etc/nsnat/conf.d", "everybody", "owner root, group root, mode 1777"),
    ("rm $F; chmod 777 $D", "/etc/nsnat/conf.d", "everybody", "mode 0777"),
    ("chown nobody /etc/nsnat", "/etc/nsnat", "user nobody", "owner nobody, group root, mode 0755"),
    ("chmod 1777 /etc/nsnat; touch $M; chown nobody $M", "/etc/nsnat/nsnat.toml", "user nobody", "mode 0644"),
    (
        "install -d -o nobody /run/lab/theirs; mv $F /run/lab/theirs/x; ln -s /run/lab/theirs/x $F",
        "/run/lab/theirs",
        "user nobody",
        "owner nobody, group root, mode 0755",
    ),
    (
        "mv $F /run/lab/x; chown nobody /run/lab/x; ln -s /run/lab/x $F",
        "/run/lab/x",
        "user nobody",
        "owner nobody, group root, mode 0644",
    ),
    (
        "mkdir -p /run/nsnat/conf.d; chmod 1777 /run/nsnat/conf.d",
        "/run/nsnat/conf.d",
        "everybody",
        "owner root, group root, mode 1777",
    ),
];

#[test]
fn a_configuration_that_others_may_write_is_refused_and_the_cure_helps() {
    let lab = Lab::new();
    let good = "rm -rf /etc/nsnat /run/lab/theirs /run/lab/x /run/nsnat/conf.d
        nsnat -q add slow --gateway $LAB_SLOW";
    for (damage, path, who, is) in SCENES {
        lab.ok(good);
        lab.ok(&format!("D=/etc/nsnat/conf.d F=$D/slow.toml M=/etc/nsnat/nsnat.toml; {damage}"));
        let before = lab.snapshot();
        for (status, command) in [
            (2, "up"),
            (2, "plan"),
            (2, "status"),
            (2, "list"),
            (2, "add other --gateway $LAB_SLOW"),
            (2, "remove slow"),
            (125, "exec --gateway $LAB_SLOW -- true"),
        ] {
            let told = lab.fails(status, &format!("nsnat {command}"));
            let said = format!("{path}: {who} may write it, and root would obey: ");
            assert!(told.contains(&said) && told.contains(is), "{damage}, {command}:\n{told}");
            assert!(told.ends_with("1 problem; nothing was changed"), "{damage}, {command}:\n{told}");
        }
        lab.same(&before, damage);
        // What is up serves, and goes without a configuration.
        lab.says("test $(nsnat exec slow whoami4) = $LAB_WAN_SLOW; nsnat down", "slow: down");
        lab.ok("nsnat up 2>&1 | sed -n 's/^.*hint: //p' >/run/lab/cure || true; test -s /run/lab/cure; bash -e /run/lab/cure; nsnat up");
        lab.ok("nsnat -q down");
    }
}

/// Who calls sudo and names a file may own it, and the directories that lead to it; others may not write it even so.
#[test]
fn a_file_of_who_called_sudo() {
    let lab = Lab::new();
    lab.ok("install -d -o nobody /tmp/home; printf '[namespace.slow]\ngateway = \"%s\"\n' $LAB_SLOW >/tmp/home/mine.toml
        chown nobody /tmp/home/mine.toml");
    let told = lab.fails(2, "nsnat --config /tmp/home/mine.toml up");
    assert!(told.contains("/tmp/home: user nobody may write it") && told.contains("2 problems"), "{told}");
    let by_nobody = "export SUDO_UID=$(id -u nobody)";
    lab.says(
        &format!("{by_nobody}; nsnat --config /tmp/home/mine.toml up"),
        "slow: up, by eth0 via 192.168.1.254",
    );
    for other in ["SUDO_UID=4711", "DOAS_USER=games", "PKEXEC_UID=4711", "SUDO_UID="] {
        lab.fails(2, &format!("{other} nsnat --config /tmp/home/mine.toml plan"));
    }
    lab.ok("DOAS_USER=nobody nsnat --config /tmp/home plan; PKEXEC_UID=$(id -u nobody) nsnat --config /tmp/home plan");
    lab.fails(
        2,
        &format!("{by_nobody}; chmod 666 /tmp/home/mine.toml; nsnat --config /tmp/home/mine.toml plan"),
    );
    // What is read because it is there was named by nobody.
    lab.ok("mkdir -p /etc/nsnat/conf.d; cp /tmp/home/mine.toml /etc/nsnat/conf.d; chmod 644 /etc/nsnat/conf.d/mine.toml; nsnat plan");
    lab.ok("chown nobody /etc/nsnat/conf.d/mine.toml");
    lab.fails(2, &format!("{by_nobody}; nsnat plan"));
    // A user changes nothing, and may look at whatever that user can read.
    lab.says(
        "install -m 755 $(type -P nsnat) /run/lab/bin/; cd /; setpriv --reuid 65534 --clear-groups /run/lab/bin/nsnat list",
        "slow",
    );
}

/// One report says all: who may write a file, and what is wrong in it and in others.
#[test]
fn together_with_what_is_wrong_in_the_files() {
    let lab = Lab::new();
    lab.ok("mkdir -p /etc/nsnat/conf.d; cd /etc/nsnat; echo 'nonsense = 1' >nsnat.toml; printf '[namespace.a]\\n' >conf.d/a.toml
        touch conf.d/b.toml; setfacl -m u:games:rw conf.d/b.toml; chmod 666 conf.d/a.toml");
    let told = lab.fails(2, "nsnat up");
    for words in [
        "nonsense",
        "`a` has no way out",
        "a.toml: everybody may write it",
        "b.toml: whoever its access list names",
    ] {
        assert!(told.contains(words), "{words} in\n{told}");
    }
    assert!(told.ends_with("4 problems; nothing was changed"), "{told}");
    lab.ok("rm /etc/nsnat/nsnat.toml; echo >/etc/nsnat/conf.d/a.toml; nsnat up 2>&1 | sed -n 's/^.*hint: //p' >/run/lab/cure || true
        bash -e /run/lab/cure; nsnat up");
}

/// Where root is root of a user namespace only, most of the world belongs to nobody that it knows.
#[test]
fn root_of_a_user_namespace() {
    let lab = Lab::new();
    lab.ok("mkdir -p /etc/nsnat; echo >/etc/nsnat/nsnat.toml; install -m 755 $(type -P nsnat) /run/lab/bin/");
    let list =
        "cd /; setpriv --reuid 65534 --clear-groups unshare --user --map-root-user /run/lab/bin/nsnat list";
    lab.ok(list);
    lab.ok("chmod 666 /etc/nsnat/nsnat.toml");
    let told = lab.fails(2, list);
    assert!(told.contains("nsnat.toml: everybody may write it"), "{told}");
}
