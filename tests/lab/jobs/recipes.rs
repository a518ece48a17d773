//! docs/recipes.md, run.

use crate::lab::Lab;

/// A lab in which `slow` is up; what leaves by it is seen as 203.0.113.254.
fn lab() -> Lab {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"\n");
    lab.ok("nsnat up");
    lab
}

#[test]
fn many_at_once_by_xargs() {
    lab().says(
        "seq 40 | xargs -P 8 -I {} nsnat exec slow whoami4 | sort | uniq -c | tr -s ' '",
        " 40 203.0.113.254",
    );
}

#[test]
fn many_at_once_by_gnu_parallel() {
    let lab = lab();
    lab.says("HOME=/run/lab parallel --will-cite -j 8 'nsnat exec slow whoami4; echo {} >/dev/null' ::: $(seq 40) | sort -u", "203.0.113.254");
    // One nsnat for all of them.
    lab.says("HOME=/run/lab nsnat exec slow parallel --will-cite -j 8 'whoami4; echo {} >/dev/null' ::: $(seq 40) | sort -u", "203.0.113.254");
}

#[test]
fn apt_with_its_own_way_out() {
    let lab = lab();
    // A repository on the far side, served by a few lines of shell.
    lab.ok(r#"mkdir -p /run/lab/repo /run/lab/apt/lists /run/lab/apt/cache; cd /run/lab
        printf 'Package: hello\nVersion: 1\nArchitecture: all\nMaintainer: x <x@example.test>\nDescription: x\n\n' >repo/Packages
        cat >serve-repo <<'END'
#!/bin/bash
read -r _ path _; while read -r line && [[ $line != $'\r' ]]; do :; done
echo "$SOCAT_PEERADDR" >>/run/lab/peers
file=/run/lab/repo/${path##*/}
if [[ -f $file ]]; then printf 'HTTP/1.0 200 OK\r\nContent-Length: %s\r\n\r\n' "$(stat -c %s "$file")"; cat "$file"
else printf 'HTTP/1.0 404 Not Found\r\nContent-Length: 0\r\n\r\n'; fi
END
        chmod 755 serve-repo
        at inet socat TCP-LISTEN:8080,fork,reuseaddr EXEC:/run/lab/serve-repo </dev/null >/dev/null 2>&1 &
        await "at inet ss -Hltn 'sport = 8080' | grep -q ."
        echo "deb [trusted=yes] http://$LAB_SERVICE:8080 ./" >apt/sources.list
        nsnat exec slow apt-get -q -o APT::Sandbox::User=root -o Dir::Etc::SourceList=/run/lab/apt/sources.list -o Dir::Etc::SourceParts=/dev/null \
            -o Dir::State::Lists=/run/lab/apt/lists -o Dir::Cache=/run/lab/apt/cache update >/run/lab/apt/said 2>&1"#);
    lab.says(
        r#"sort -u /run/lab/peers; grep -o "^Get:.* Packages" /run/lab/apt/said | sed "s/.* //""#,
        "203.0.113.254\nPackages",
    );
}

#[test]
fn rsync_over_ssh() {
    let lab = lab();
    lab.ok(r#"cd /run/lab; mkdir -p sshd/from sshd/to /run/sshd; chmod 755 /run/sshd; echo content >sshd/from/file
        ssh-keygen -q -t ed25519 -N '' -f sshd/host; ssh-keygen -q -t ed25519 -N '' -f sshd/key; cp sshd/key.pub sshd/authorized
        at inet /usr/sbin/sshd -f /dev/null -o HostKey=/run/lab/sshd/host -o AuthorizedKeysFile=/run/lab/sshd/authorized -o StrictModes=no \
            -o PidFile=none -o PermitRootLogin=yes -o Port=2222 -o ListenAddress=0.0.0.0 -E /run/lab/sshd/log -o LogLevel=VERBOSE
        nsnat exec slow rsync -a -e "ssh -p 2222 -i /run/lab/sshd/key -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null" \
            sshd/from/ root@$LAB_SERVICE:/run/lab/sshd/to/ >&2"#);
    lab.says(
        "cat /run/lab/sshd/to/file; grep -o 'Accepted publickey for root from [0-9.]*' /run/lab/sshd/log",
        "content\nAccepted publickey for root from 203.0.113.254",
    );
}

/// `at` of the machine: a helper of the lab has that name, too.
#[test]
fn at() {
    let lab = lab();
    lab.ok(r#"mount -t tmpfs -o mode=755 tmpfs /var/spool/cron
        install -d -o daemon -g daemon -m 1770 /var/spool/cron/atjobs /var/spool/cron/atspool
        install -o daemon -g daemon -m 600 /dev/null /var/spool/cron/atjobs/.SEQ; atd
        nsnat=$(command -v nsnat); whoami=$(command -v whoami4)
        echo "$nsnat exec slow bash $whoami >/run/lab/said 2>&1" | /usr/bin/at now 2>/dev/null
        await 'test -s /run/lab/said'; kill $(cat /run/atd.pid)"#);
    lab.says("cat /run/lab/said", "203.0.113.254");
}

/// A container engine, unpacked by `scripts/need test` where it is not installed: everything of its own below /run/lab.
const ENGINE: &str = concat!(
    "engine=",
    env!("CARGO_MANIFEST_DIR"),
    r#"/target/podman
mkdir -p /run/lab/pod/rootfs/{bin,sbin,usr,lib,lib64,proc,sys,dev,etc,tmp,run}; cd /run/lab/pod
if [ -e $engine/unpacked ]; then
    libraries=$(echo $engine/usr/lib/*-linux-gnu); export LD_LIBRARY_PATH=$libraries
    PATH=$engine/usr/bin:$PATH; mkdir -p /etc/containers; cp $engine/etc/containers/policy.json /etc/containers/
fi
# The monitor, which starts the runtime, passes no environment on.
printf '#!/bin/sh
LD_LIBRARY_PATH=%s exec %s "$@"
' "${libraries-}" "$(type -P crun)" >crun; chmod 755 crun
printf '[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
runtime = "crun"
conmon_path = ["%s"]
[engine.runtimes]
crun = ["/run/lab/pod/crun"]
'     "$(type -P conmon)" >containers.conf
printf '[storage]
driver = "vfs"
runroot = "/run/lab/pod/run"
graphroot = "/run/lab/pod/root"
' >storage.conf
export CONTAINERS_CONF=$PWD/containers.conf CONTAINERS_STORAGE_CONF=$PWD/storage.conf
container() { podman run --rm --cgroups=disabled --network ns:/run/netns/slow -v /usr:/usr:ro -v /lib:/lib:ro -v /lib64:/lib64:ro     -v /bin:/bin:ro --rootfs /run/lab/pod/rootfs "$@"; }
"#
);

#[test]
fn a_container() {
    let lab = Lab::new();
    lab.declare("[namespace.slow]\ngateway = \"$LAB_SLOW\"\ndns = \"$LAB_NEW\"\n");
    lab.ok("nsnat up");
    lab.says(&format!("{ENGINE}container socat -u TCP4:$LAB_SERVICE:80 -"), "203.0.113.254");
    // Whatever servers the engine wrote into the container's resolv.conf.
    lab.says(&format!("{ENGINE}container getent ahostsv4 www.example.test | sed 's/ .*//;q'"), "192.0.2.53");
}

#[test]
fn cron() {
    let lab = lab();
    lab.ok(r#"mkdir -p /run/lab/cron; mount -t tmpfs -o mode=777 tmpfs /var/spool/cron; mkdir -p /var/spool/cron/{crontabs,atjobs,atspool}
        nsnat=$(command -v nsnat); whoami=$(command -v whoami4)
        echo "* * * * * root . /run/lab/env; $nsnat exec slow bash $whoami >/run/lab/cron/said 2>&1" >/etc/cron.d/bulk; chmod 644 /etc/cron.d/bulk
        cron || crond
        await 'test -s /run/lab/cron/said'; kill $(cat /run/crond.pid)"#);
    lab.says("cat /run/lab/cron/said", "203.0.113.254");
}
