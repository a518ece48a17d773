# shellcheck shell=bash disable=SC2034,SC2154,SC2016 # variables of scripts/systest and lib/package.sh; scripts for the host
# The package of Fedora and openSUSE: dnf installs it and removes it, and rpm upgrades it.

# shellcheck source=../tests/systest/lib/package.sh
source "$scenarios/lib/package.sh"
readonly kind=rpm own=(/var/lib/rpm /var/lib/dnf)
readonly removes='dnf -y remove nsnat' verifies='rpm -V nsnat'
readonly allows=$by_tmpfiles zsh=share/zsh/site-functions/_nsnat licence=share/licenses/nsnat/LICENSE-MIT
installs() {
	[[ $1 != 1 ]] || { echo "dnf -y install /root/nsnat-1.rpm" && return; }
	echo "rpm -U /root/nsnat-2.rpm"
}

# What Fedora's own packages bring: the release, and folders that belong to "filesystem".
prepare() {
	put /etc/dnf/vars/releasever <<<42
	mkdir -p "$disk"/usr/share/{licenses,zsh/site-functions}
}

boot
bare_host
host "$(installs 1) >/dev/null"
installed
types 'rpm -qL nsnat; rpm -qd nsnat | grep -c "^/usr/share/\(doc\|man\)/"' \
	"$(printf '%s\n' /usr/share/licenses/nsnat/LICENSE-{APACHE,MIT} "$(host 'find /usr/share/doc/nsnat /usr/share/man -type f -path "*nsnat*" | wc -l')")"
in_use
upgraded
removed
