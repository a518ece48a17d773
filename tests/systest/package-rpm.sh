# shellcheck shell=bash disable=SC2034,SC2154,SC2016 # variables of scripts/systest and lib/package.sh; scripts for the host
# The package of Fedora and openSUSE: dnf installs it and removes it, and rpm upgrades it.

# shellcheck source=../tests/systest/lib/package.sh
source "$scenarios/lib/package.sh"
readonly kind=rpm zsh=share/zsh/site-functions/_nsnat licence=share/licenses/nsnat/LICENSE-MIT
readonly removes='dnf -y remove nsnat' verifies='rpm -V nsnat' own=(/var/lib/rpm /var/lib/dnf)
readonly allows="echo 'z /usr/libexec/nsnat/nsnat-exec 4750 root nogroup' >/etc/tmpfiles.d/nsnat.conf
	systemd-tmpfiles --create --prefix=/usr/libexec/nsnat"
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
in_use
upgraded
removed
