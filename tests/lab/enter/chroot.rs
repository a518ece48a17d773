//! Where `/` is no mount point: a chroot into a plain directory, as rescue systems have it.

use crate::world;

/// A root directory of which only what is below it is mounted, in a file system whose mounts everybody shares.
const ROOT: &str = r"
mount --make-rshared /
root=$PWD/root; mkdir root; cp -r /run/nsnat $root/nsnat
for dir in usr bin sbin lib lib64 etc dev; do test -L /$dir && cp -P /$dir $root/$dir && continue; mkdir -p $root/$dir; mount --rbind /$dir $root/$dir; done
mkdir -p $root/run/nsnat/ns $root/run/netns $root/run/nscd $root/proc $root/sys $root/tmp $root/home/deep; mv $root/nsnat/ns/x $root/run/nsnat/ns; rm -r $root/nsnat
chmod 755 $root $root/run $root/run/nsnat $root/run/nsnat/ns
mount --rbind /run/netns $root/run/netns
cp $N $N-exec $root/home; chmod 4755 $root/home/nsnat-exec
touch $root/run/nscd/socket
mounts() { mount -t proc proc $root/proc; mount -t sysfs sysfs $root/sys; }
";

/// In the namespace, in the chroot, in the same directory; what is mounted there is not seen outside.
const PROBE: &str = r#"
before=$(sort /proc/self/mountinfo)
inside() { chroot $root /bin/sh -c "cd /home/deep; $1 $2 /bin/sh -c 'pwd; ls -A /run/nscd; cat /home/netns; exec /home/look'"; }
cat > $root/home/look <<'END'
#!/usr/bin/perl
use Socket; socket(my $s, AF_UNIX, SOCK_DGRAM, 0); my $cookie = getsockopt($s, SOL_SOCKET, 71); print unpack('Q', $cookie), "\n";
END
chmod 755 $root/home/look
ip netns exec x $root/home/look > $root/home/netns
check() { inside "$1" "$2" > said || { cat said; return 1; }; sed -n 1p said; test "$(sed -n 2p said)" = "$(sed -n 3p said)" && echo there; wc -l < said
    test "$before" = "$(sort /proc/self/mountinfo)" && echo nothing outside; ls -A $root/run/nscd; }
"#;

#[test]
fn a_plain_directory() {
    for mounts in ["mounts", "true"] {
        let script =
            format!("{ROOT}{mounts}\n{PROBE}check /home/nsnat 'exec x'; check /home/nsnat-exec 'x --'");
        let once = "/home/deep\nthere\n3\nnothing outside\nsocket\n";
        assert_eq!(world::stdout(&script), format!("{once}{once}"), "{mounts}");
    }
}

/// The root directory that the command has is the one that the caller had.
#[test]
fn it_is_no_way_out_of_the_chroot() {
    let script = format!(
        "{ROOT}mounts\ntouch $root/home/here; chroot $root /home/nsnat exec x /bin/ls /home
        chroot $root /home/nsnat exec --pid -u daemon x /bin/sh -c 'ls -d /home/here /../home/here; readlink /proc/self/root'"
    );
    assert_eq!(world::stdout(&script), "deep\nhere\nnsnat\nnsnat-exec\n/../home/here\n/home/here\n/\n");
}
