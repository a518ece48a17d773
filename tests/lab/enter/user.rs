//! Becoming a user: who, with which groups, and with nothing left of root.

use crate::world;

const USERS: &str = r"
mkdir e && cp -r /etc/nsswitch.conf /etc/ld.so.cache e
printf 'root:x:0:0:r:/root:/bin/sh\nann:x:4001:4001::/home/ann:/bin/annsh\nnobody:x:65534:65534::/:/bin/false\n' > e/passwd
printf 'root:x:0:\nann:x:4001:\nextra:x:4002:ann,bob\nother:x:4003:bob\n' > e/group
mount --bind e /etc
probe='id -u; id -g; id -G; echo $HOME $USER $LOGNAME $SHELL'
";

fn check(script: &str, expected: &str) {
    assert_eq!(world::stdout(&format!("{USERS}{script}")), expected, "{script}");
}

const ANN: &str = "4001\n4001\n4001 4002\n/home/ann ann ann /bin/annsh\n";

#[test]
fn by_name_and_by_number() {
    check("$N exec -u ann x sh -c \"$probe\"", ANN);
    check("$N exec --user=4001 x sh -c \"$probe\"", ANN);
    check("$N exec --pid x -u ann -- sh -c \"$probe\"", ANN);
}

#[test]
fn the_one_who_called() {
    check(
        "SUDO_USER=ann SUDO_UID=4001 SUDO_GID=4002 $N exec --me x sh -c \"$probe\"",
        &ANN.replace("\n4001\n4001 4002", "\n4002\n4002"),
    );
    check("SUDO_UID=4001 $N exec --me x sh -c \"$probe\"", ANN);
    check("DOAS_USER=ann $N exec --me x sh -c \"$probe\"", ANN);
    check("PKEXEC_UID=4001 $N exec --me x sh -c \"$probe\"", ANN);
}

#[test]
fn nothing_of_root_is_left() {
    let script = "for options in '' --pid; do
        setpriv --inh-caps +net_admin,+sys_admin --ambient-caps +net_admin,+sys_admin --securebits +no_setuid_fixup $N exec $options -u ann x \
            grep '^[UG]id\\|^Groups\\|^Cap[^B]\\|^NoNewPrivs' /proc/self/status; done
        $N exec -u ann x sh -c 'ip link set lo up || mount -t tmpfs t /mnt || cat /proc/1/environ || nsenter -t 1 -n true' 2>/dev/null || echo refused
        $N exec -u ann x sh -c 'exec 2>/dev/null; (: < /proc/self/mem) && echo own memory; for f in /proc/$$/fd/*; do test -e $f && echo ${f##*/}; done' | grep -v '^[012]$\\|^10$\\|^25.$'";
    let none = "0000000000000000";
    let ids = "Uid:\t4001\t4001\t4001\t4001\nGid:\t4001\t4001\t4001\t4001\nGroups:\t4001 4002 \n";
    let once =
        format!("{ids}CapInh:\t{none}\nCapPrm:\t{none}\nCapEff:\t{none}\nCapAmb:\t{none}\nNoNewPrivs:\t0\n");
    check(script, &format!("{once}{once}refused\nown memory\n"));
}

#[test]
fn root_stays_root() {
    check("$N exec -u root x sh -c 'id -u; echo $HOME; ip link set lo up && echo able'", "0\n/root\nable\n");
}

/// A user that only a directory service knows, behind a getent that answers for it.
#[test]
fn users_that_are_not_in_the_files() {
    let script = r#"cat > getent <<'END'
#!/bin/sh
case "$*" in
    'passwd lea'|'passwd 70001') echo 'lea:*:70001:70000:Lea:/home/lea:/bin/leash' ;;
    'initgroups lea') echo 'lea                   70000 70002 70003' ;;
    *) exit 2 ;;
esac
END
    chmod 755 getent; mount --bind getent /usr/bin/getent
    for user in lea 70001; do $N exec -u $user x sh -c "$probe"; done"#;
    let lea = "70001\n70000\n70000 70002 70003\n/home/lea lea lea /bin/leash\n";
    check(script, &format!("{lea}{lea}"));
}
