//! What a command sees of the file system, and what resolves names.

use crate::world;

#[test]
fn sys_and_the_network_are_the_namespaces() {
    let script = "ip -n x link add vx0 type veth peer name vx1
        $N exec x ls /sys/class/net; $N exec x ip -o link | wc -l
        test \"$($N exec x readlink /proc/self/ns/net)\" = \"$(ip netns exec x readlink /proc/self/ns/net)\" && echo same
        $N exec x sh -c 'echo $NSNAT_NAMESPACE; test $(stat -c %d /sys/fs/cgroup) != $(stat -c %d /sys) && echo cgroups'";
    assert_eq!(world::stdout(script), "lo\nvx0\nvx1\n3\nsame\nx\ncgroups\n");
}

#[test]
fn nothing_of_it_is_seen_outside() {
    let script = "mount --make-rshared /; mkdir a b /run/nscd; cat /proc/self/mountinfo > before
        $N exec --pid --mount a:b --tmpfs a x true; cat /proc/self/mountinfo > after
        cmp before after && echo same";
    assert_eq!(world::stdout(script), "same\n");
}

#[test]
fn the_hosts_later_mounts_are_seen_inside() {
    let script = "mount --make-rshared /; mkdir a
        timeout 120 $N exec x sh -c 'touch ready; while ! test -e a/file; do sleep 0.05; done; echo seen' & 
        while ! test -e ready; do sleep 0.05; done; mount -t tmpfs t a; touch a/file
        wait";
    assert_eq!(world::stdout(script), "seen\n");
}

#[test]
fn a_read_only_sys_stays_so() {
    let script = "mount -o remount,ro,bind,nosuid /sys; $N exec x grep -c ' /sys ro,nosuid,.* sysfs x' /proc/self/mountinfo";
    assert_eq!(world::stdout(script), "1\n");
}

#[test]
fn files_for_etc() {
    let script = "cp -r /etc/hosts /etc/passwd . && mkdir -p e/netns/x e/alternatives && cp hosts passwd e
        mount --bind e /etc; echo inside > /etc/netns/x/hosts; touch /etc/netns/x/not-in-etc
        $N exec x cat /etc/hosts 2> said; grep -c '^nsnat: .*not-in-etc.*No such file' said; wc -l < said
        cmp /etc/hosts hosts && echo untouched";
    assert_eq!(world::stdout(script), "inside\n1\n1\nuntouched\n");
}

#[test]
fn mounts_that_were_asked_for() {
    let script = "mkdir from to ro tmp; touch from/file; mkdir from/sub; mount -t tmpfs t from/sub; umask 077
        $N exec --mount from:to --mount $PWD/from:ro:ro --tmpfs tmp x sh -c '
            ls to; touch to/new ro/new 2>/dev/null || echo refused; touch ro/sub/new 2>/dev/null || echo refused below
            touch tmp/t && ls tmp; stat -c %a tmp'
        ls from tmp";
    assert_eq!(
        world::stdout(script),
        "file\nsub\nrefused\nrefused below\nt\n1777\nfrom:\nfile\nnew\nsub\n\ntmp:\n"
    );
}

/// Sockets at which somebody listens and never answers.
const LISTENERS: &str = r#"
mkdir -p /run/nscd /run/avahi-daemon /run/dbus /run/systemd/resolve
chmod 755 /run/nscd /run/avahi-daemon /run/dbus /run/systemd/resolve
echo 'nameserver 192.0.2.1' > /run/systemd/resolve/resolv.conf
sockets='/run/nscd/socket /run/avahi-daemon/socket /run/dbus/system_bus_socket
    /run/systemd/resolve/io.systemd.Resolve /run/systemd/resolve/io.systemd.Resolve.Monitor'
listen() { for s in $1; do perl -MIO::Socket::UNIX -e \
    '$s = IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 5) or die $!; chmod 0777, $ARGV[0]; sleep 60' $s & pids="$pids $!"; done
    for s in $1; do while ! test -S $s; do sleep 0.02; done; done; }
pids=; listen "$sockets"; trap 'kill $pids' EXIT
try='for (@ARGV) { print "$_ ", IO::Socket::UNIX->new(Peer => $_) ? "connected" : $!+0, "\n" }'
connect() { "$@" perl -MIO::Socket::UNIX -e "$try" $sockets /var/run/nscd/socket; }
"#;

#[test]
fn resolver_sockets_are_hidden() {
    let script = format!(
        "{LISTENERS}
        connect | grep -c connected; connect $N exec x | grep -c ' 2$'
        $N exec -u daemon x cat /run/systemd/resolve/resolv.conf
        echo 'nameserver 192.0.2.2' > r; mv r /run/systemd/resolve/resolv.conf; $N exec x cat /run/systemd/resolve/resolv.conf"
    );
    assert_eq!(world::stdout(&script), "6\n6\nnameserver 192.0.2.1\nnameserver 192.0.2.2\n");
}

#[test]
fn they_stay_hidden_when_their_daemon_restarts() {
    let script = format!(
        "{LISTENERS}
        connect timeout 120 $N exec x sh -c 'touch ready; while ! test -e go; do sleep 0.05; done; exec \"$@\"' sh > out &
        job=$!; while ! test -e ready; do sleep 0.05; done
        kill $pids; rm $sockets; pids=; listen \"$sockets\"; touch go; wait $job
        grep -c ' 2$' out; connect | grep -c connected"
    );
    assert_eq!(world::stdout(&script), "6\n6\n");
}

/// systemd-resolved replaces its files when the network changes; a mount on a replaced file would be gone.
#[test]
fn the_namespaces_own_resolv_conf_stays() {
    let script = format!(
        "{LISTENERS}
        mkdir -p e/netns/x; echo own > e/netns/x/resolv.conf; ln -s ../run/systemd/resolve/stub-resolv.conf e/resolv.conf
        cp /etc/ld.so.cache e; mount --bind e /etc; cd /run/systemd/resolve; echo stub > stub-resolv.conf; cd - > /dev/null
        timeout 120 $N exec x sh -c 'touch ready; while ! test -e go; do sleep 0.05; done; cat /etc/resolv.conf /run/systemd/resolve/resolv.conf' &
        while ! test -e ready; do sleep 0.05; done; echo new > r; mv r /run/systemd/resolve/stub-resolv.conf; touch go; wait $!
        cat /etc/resolv.conf"
    );
    assert_eq!(world::stdout(&script), "own\nnameserver 192.0.2.1\nnew\n");
}

#[test]
fn they_are_left_alone_when_the_namespace_uses_the_hosts_dns() {
    let script = format!(
        "{LISTENERS} echo '{{\"hide_resolvers\": false}}' > /run/nsnat/ns/x; connect $N exec x | grep -c connected"
    );
    assert_eq!(world::stdout(&script), "6\n");
}

#[test]
fn the_bus_is_left_alone_where_nobody_resolves_names_on_it() {
    let script =
        format!("{LISTENERS} rm -r /run/systemd /run/avahi-daemon; connect $N exec x | grep connected");
    assert_eq!(world::stdout(&script), "/run/dbus/system_bus_socket connected\n");
}

#[test]
fn look_ups_go_on_at_once() {
    let script = format!(
        "{LISTENERS} look() {{ $N exec x strace -qq -f -o $1.trace -e trace=connect getent $@; }}
        look passwd root | cut -d: -f1; look hosts 127.0.0.1 | cut -d' ' -f1
        grep -l 'nscd/socket.*ENOENT' *.trace; grep -h 'AF_UNIX.* = 0$' *.trace; true"
    );
    // Nobody was found to wait for: the listeners never answer.
    assert_eq!(world::stdout(&script), "root\n127.0.0.1\nhosts.trace\npasswd.trace\n");
}

/// An own resolv.conf, made in this view and nowhere else.
const OWN: &str = r#"printf '{"hide_resolvers":true,"nameservers":["192.0.2.9"]}' > /run/nsnat/ns/x
mkdir e; cp -r /etc/hosts /etc/passwd /etc/ld.so.cache e; printf 'nameserver ::1\nsearch a.test\n' > e/resolv.conf; mount --bind e /etc
"#;

#[test]
fn an_own_resolv_conf_is_nowhere_else() {
    let script = format!(
        "{OWN}umask 077; $N exec -u daemon x cat /etc/resolv.conf; $N exec x ls -A /run/nsnat
        $N exec x sh -c 'cut -d\" \" -f5 /proc/self/mountinfo' | grep nsnat; (ulimit -f 0; $N exec x true) 2>/dev/null; ls -A /run/nsnat; cat /etc/resolv.conf"
    );
    assert_eq!(
        world::stdout(&script),
        "nameserver 192.0.2.9\nsearch a.test\nns\nns\nnameserver ::1\nsearch a.test\n"
    );
}

#[test]
fn where_the_host_has_no_resolv_conf() {
    for harm in ["rm e/resolv.conf", "ln -sf /run/nowhere/resolv.conf e/resolv.conf"] {
        let script = format!(
            "{OWN}{harm}; $N exec x echo inside 2>said; grep -c '^nsnat: /etc/resolv.conf: is not on this host' said; wc -l <said
            ls -A /run/nsnat"
        );
        assert_eq!(world::stdout(&script), "inside\n1\n1\nns\n", "{harm}");
    }
}
