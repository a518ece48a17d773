//! The variables of a session: the user's own, or none.

use crate::world;

/// Ann is logged in, with a bus and a mailbox; bob is not.
const USERS: &str = r#"
mkdir e && cp -r /etc/nsswitch.conf /etc/ld.so.cache e
printf 'root:x:0:0:r:/root:/bin/sh\nann:x:4001:4001::/home/ann:/bin/sh\nbob:x:4003:4003::/home/bob:/bin/sh\n' > e/passwd
printf 'root:x:0:\nann:x:4001:\nbob:x:4003:\n' > e/group
mount --bind e /etc
mount -t tmpfs t /var/mail; touch /var/mail/ann /var/mail/root; chown 4001 /var/mail/ann
socket() { perl -MIO::Socket::UNIX -e 'IO::Socket::UNIX->new(Local => $ARGV[0], Listen => 1) or die $!' $1; chown $2 $1; }
for uid in 0 4001; do mkdir -p /run/user/$uid; chmod 755 /run/user; chown $uid /run/user/$uid; chmod 700 /run/user/$uid; socket /run/user/$uid/bus $uid; done
touch /run/user/0/cookie /run/user/4001/cookie; chown 4001 /run/user/4001/cookie; chmod 600 /run/user/*/cookie
export XDG_RUNTIME_DIR=/run/user/0 DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/0/bus MAIL=/var/mail/root XAUTHORITY=/run/user/0/cookie DISPLAY=:7 WAYLAND_DISPLAY=wayland-7
shown() { "$@" env | grep '^XDG_RUN\|^DBUS\|^MAIL\|^XAUTH\|^DISPLAY\|^WAYLAND' | sort; }
"#;

fn check(script: &str, expected: &str) {
    assert_eq!(world::stdout(&format!("{USERS}{script}")), expected, "{script}");
}

const ANN: &str = "DBUS_SESSION_BUS_ADDRESS=unix:path=/run/user/4001/bus\nDISPLAY=:7\nMAIL=/var/mail/ann\n";
const RUNTIME: &str = "WAYLAND_DISPLAY=wayland-7\nXDG_RUNTIME_DIR=/run/user/4001\n";

#[test]
fn of_roots_session_nothing_is_handed_over() {
    check("shown $N exec -u ann x", &format!("{ANN}{RUNTIME}"));
    check("shown $N exec -u bob x", "DISPLAY=:7\nWAYLAND_DISPLAY=wayland-7\n");
}

#[test]
fn sudo_keeps_none() {
    check(
        "unset XDG_RUNTIME_DIR DBUS_SESSION_BUS_ADDRESS MAIL; XAUTHORITY=/run/user/4001/cookie
        SUDO_USER=ann SUDO_UID=4001 SUDO_GID=4001 shown $N exec --me x; SUDO_USER=ann SUDO_UID=4001 SUDO_GID=4001 shown $N exec --pid --me x",
        &format!("{ANN}{}", RUNTIME.replace("XDG", "XAUTHORITY=/run/user/4001/cookie\nXDG")).repeat(2),
    );
}

#[test]
fn what_is_the_users_own_stays() {
    check(
        "mkdir own; chown 4001 own; socket own/socket 4001; XDG_RUNTIME_DIR=$PWD/own DBUS_SESSION_BUS_ADDRESS=unix:path=$PWD/own/socket,guid=1
        XAUTHORITY=/run/user/4001/cookie shown $N exec -u ann x | sed s,$PWD,DIR,",
        "DBUS_SESSION_BUS_ADDRESS=unix:path=DIR/own/socket,guid=1\nDISPLAY=:7\nMAIL=/var/mail/ann\nWAYLAND_DISPLAY=wayland-7\nXAUTHORITY=/run/user/4001/cookie\nXDG_RUNTIME_DIR=DIR/own\n",
    );
}

#[test]
fn whoever_stays_the_same_keeps_all() {
    check(
        "shown > outside; shown $N exec x > inside; cmp outside inside && wc -l < inside; shown $N exec -u root x | cmp - outside && echo root, too",
        "6\nroot, too\n",
    );
}
