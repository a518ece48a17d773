# shellcheck shell=bash disable=SC2034,SC2154,SC2016 # variables of scripts/systest and lib/package.sh; scripts for the host
# Arch's package, by pacman.

# shellcheck source=../tests/systest/lib/package.sh
source "$scenarios/lib/package.sh"
readonly kind=archlinux zsh=share/zsh/site-functions/_nsnat licence=share/licenses/nsnat/LICENSE-MIT
readonly removes='pacman -R --noconfirm nsnat' verifies='pacman -Qkkq nsnat' own=(/var/lib/pacman)
readonly allows="echo 'z /usr/libexec/nsnat/nsnat-exec 4750 root nogroup' >/etc/tmpfiles.d/nsnat.conf
	systemd-tmpfiles --create --prefix=/usr/libexec/nsnat"
installs() { echo "pacman -U --noconfirm /root/nsnat-$1.archlinux"; }

# There, pacman is built to run the functions of packages by bash; Debian's runs them by sh.
prepare() {
	ln -sf bash "$disk/usr/bin/sh"
}

boot
bare_host
host "$(installs 1) >/dev/null"
installed
in_use
upgraded
removed
