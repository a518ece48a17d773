# shellcheck shell=bash disable=SC2154 # lab_scripts is of `lab`
#
# What the lab's host sees of the file system: the machine's files, with /run,
# /tmp, /proc, /sys and /etc of its own. We are alone in a private mount
# namespace when this runs.

# Private /run, /tmp, /proc and /sys. Arguments: those of the command, because
# a command that lives or works under /tmp needs the machine's /tmp.
private_mounts() {
	refuse_below /run
	if ! needs_below /tmp "$@"; then
		mount -t tmpfs -o mode=1777,nosuid,nodev tmpfs /tmp
	fi
	mount -t tmpfs -o mode=755,nosuid,nodev tmpfs /run
	mkdir -p /run/lab/{net,log,dns,cap} /run/lock
	mount -t proc -o nosuid,nodev,noexec proc /proc
	# sysfs shows the devices of the network namespace that mounts it.
	mount -t sysfs -o nosuid,nodev,noexec sysfs /sys
	mount -t cgroup2 -o nosuid,nodev,noexec cgroup2 /sys/fs/cgroup
	# From here on propagate as systemd makes a real host do (among ourselves:
	# these are new peer groups). A program that forgets to cut its mount
	# namespace off from the host's must be caught doing so here.
	mount --make-rshared /
}

# needs_below DIR [ARG..]: does the project, its build or the command live under DIR?
needs_below() {
	local dir=$1 path
	shift
	for path in "$lab_scripts" "$PWD" "${CARGO_TARGET_DIR-}" "${CARGO_HOME-}" "${RUSTUP_HOME-}" "$@"; do
		[[ $path != "$dir"/* ]] || return 0
	done
	return 1
}

refuse_below() {
	if needs_below "$1"; then
		die "the lab's host gets a $1 of its own, so the project cannot live under $1"
	fi
}

# /etc: writable, replaceable by rename, and not the machine's.
private_etc() {
	mkdir -p /run/lab/etc/{upper,work}
	mount -t overlay -o lowerdir=/etc,upperdir=/run/lab/etc/upper,workdir=/run/lab/etc/work lab-etc /etc
	# The machine may use nsnat itself; the lab's host never has.
	rm -rf /etc/nsnat /etc/netns
	# A new file each, never a write through a symlink or into a file that is
	# bind-mounted from elsewhere (containers do that to these three).
	fresh_etc resolv.conf 'nameserver 127.0.0.53' 'options edns0 trust-ad'
	fresh_etc hosts '127.0.0.1 localhost' '::1 localhost ip6-localhost' "127.0.1.1 $HOSTNAME"
	fresh_etc nsswitch.conf 'passwd: files' 'group: files' 'shadow: files' 'hosts: files dns' \
		'networks: files' 'protocols: files' 'services: files'
}

fresh_etc() {
	local file=/etc/$1
	shift
	printf '%s\n' "$@" >"$file.lab"
	mv -f "$file.lab" "$file"
}
