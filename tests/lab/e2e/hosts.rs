//! Hosts that are made in another way than most: user namespaces, directories of ours that are somebody's mounts.

use crate::lab::Lab;

/// The groups that may ping on the host have no numbers in the user namespace, wholly or in part.
#[test]
fn in_a_user_namespace() {
    for (map, inside) in [("0 0 1", "65534\t0"), ("0 0 65536", "0\t65534")] {
        let lab = Lab::new();
        let said = lab.ok(&format!(
            "mkdir /run/lab/user; cd /run/lab/user; mkfifo go
            unshare -Unm bash -euo pipefail -c '
                echo $BASHPID >pid; read -r <go; mkdir /run/lab/user/run; mount -t tmpfs tmpfs /run/lab/user/run; mkdir -p /run/netns
                mount --bind run /run/netns; ip link add eth0 type veth peer name eth1; ip link set eth1 up; ip addr add 192.0.2.10/24 dev eth0; ip link set eth0 up
                cat /proc/sys/net/ipv4/ping_group_range
                nsnat -q add slow --gateway 192.0.2.254; nsnat -q plan; ip netns exec slow cat /proc/sys/net/ipv4/ping_group_range 2>&1 || true
                ip netns exec slow sysctl -n net.ipv4.ip_unprivileged_port_start; nsnat -q remove slow' 2>&1 &
            until [[ -s pid ]]; do sleep 0.02; done; for file in uid_map gid_map; do echo {map} >/proc/$(cat pid)/$file; done
            nsenter -t $(cat pid) -n sh -c 'echo 0 2147483647 >/proc/sys/net/ipv4/ping_group_range; echo 80 >/proc/sys/net/ipv4/ip_unprivileged_port_start'
            echo >go; wait $!"
        ));
        assert_eq!(said, format!("0\t65534\n{inside}\n80"), "{map}");
    }
}

/// Immutable systems and containers mount what is to be written to.
#[test]
fn directories_that_are_mount_points() {
    for dir in ["/etc/nsnat", "/etc/nsnat/conf.d", "/run/nsnat", "/run/nsnat/ns", "/run/netns"] {
        let lab = Lab::new();
        lab.ok(&format!("mkdir -p {dir}; mount -t tmpfs -o mode=755 tmpfs {dir}"));
        add_and_remove(&lab, dir);
    }
}

#[test]
fn a_directory_that_somebody_is_in() {
    let lab = Lab::new();
    let before = lab.snapshot();
    lab.ok("nsnat -q add slow --gateway $LAB_SLOW; cd /run/netns; nsnat remove slow; nsnat -q down");
    lab.ok("umount /run/netns; rmdir /run/netns");
    lab.same(&before, "after somebody had /run/netns as working directory");
}

#[test]
fn a_read_only_etc() {
    let lab = Lab::new();
    lab.ok("mkdir -p /etc/nsnat; mount -t tmpfs -o mode=755 tmpfs /etc/nsnat; mount -o remount,ro /etc");
    add_and_remove(&lab, "a read-only /etc");
}

/// A package, or an administrator, may have made them; the last declaration takes only those with it that nsnat made.
#[test]
fn directories_that_were_there_before() {
    for dir in ["/etc/nsnat", "/etc/nsnat/conf.d", "/run/lab/mine", "/run/lab/mine/conf.d"] {
        let lab = Lab::new();
        lab.ok(&format!("mkdir -p {dir}"));
        if dir.starts_with("/etc") {
            add_and_remove(&lab, dir);
        }
        lab.ok("mkdir -p /run/lab/mine");
        let before = lab.ok("find /run/lab/mine");
        lab.ok(
            "export NSNAT_CONFIG=/run/lab/mine; nsnat -q add slow --gateway $LAB_SLOW; nsnat -q remove slow",
        );
        lab.says("find /run/lab/mine", before.trim_end());
    }
}

/// Directories that nsnat made stay its own while others have files in them, whichever declaration goes first.
#[test]
fn directories_that_nsnat_made_go_with_the_last_that_is_in_them() {
    let lab = Lab::new();
    let before = lab.snapshot();
    let add = |name: &str| lab.ok(&format!("nsnat -q add {name} --gateway $LAB_SLOW"));
    add("slow");
    add("more");
    lab.ok("nsnat -q remove slow; nsnat -q remove more");
    lab.same(&before, "after the first declaration went first");
    add("slow");
    lab.ok("touch /etc/nsnat/theirs /etc/nsnat/conf.d/theirs; nsnat -q remove slow");
    lab.says("find /etc/nsnat -name theirs | sort", "/etc/nsnat/conf.d/theirs\n/etc/nsnat/theirs");
    lab.ok("rm /etc/nsnat/conf.d/theirs");
    add("more");
    lab.ok("nsnat -q remove more");
    lab.says("ls -A /etc/nsnat | grep -v nsnat", "theirs");
    lab.ok("rm /etc/nsnat/theirs");
    add("slow");
    lab.ok("nsnat -q remove slow");
    lab.same(&before, "after what others had put there went");
    // An add that fails after it has declared.
    lab.ok("ip netns add theirs");
    lab.fails(2, "nsnat -q add theirs --gateway $LAB_SLOW");
    lab.says("ls -d /etc/nsnat 2>/dev/null || echo gone", "gone");
}

#[track_caller]
fn add_and_remove(lab: &Lab, what: &str) {
    let before = lab.snapshot();
    let add = "nsnat -q add slow --gateway $LAB_SLOW";
    let scripts = [
        "nsnat -q remove slow",
        "nsnat -q down; nsnat -q up; nsnat -q plan; nsnat -q down; nsnat -q remove slow",
    ];
    for script in scripts {
        let output = lab.sh(&format!("{add}; nsnat exec slow whoami4; {script}"));
        assert!(output.status == 0 && output.stderr.is_empty(), "{what}:\n{output}");
        lab.same(&before, &format!("{what}: {script}"));
    }
    lab.ok("nsnat -q exec --gateway $LAB_SLOW true; nsnat -q add --temporary slow --gateway $LAB_SLOW; nsnat -q remove slow");
    lab.same(&before, what);
}
