# shellcheck shell=bash disable=SC2034,SC2154,SC2016 # variables of scripts/systest and lib/package.sh; scripts for the host
# Arch's package, by pacman. Alpine's, for which Debian has no manager, is made of the same (by-hand/package-apk.sh has one).

# shellcheck source=../tests/systest/lib/package.sh
source "$scenarios/lib/package.sh"
readonly kind=archlinux own=(/var/lib/pacman)
readonly removes='pacman -R --noconfirm nsnat' verifies='pacman -Qkkq nsnat'
readonly allows=$by_tmpfiles zsh=share/zsh/site-functions/_nsnat licence=share/licenses/nsnat/LICENSE-MIT
installs() { echo "pacman -U --noconfirm /root/nsnat-$1.archlinux"; }

# As on Arch, where pacman runs the functions of packages by bash (Debian's: by sh), and signatures are asked for as here.
prepare() {
	ln -sf bash "$disk/usr/bin/sh"
	sed -i 's/^\[options\]/&\nSigLevel = Required DatabaseOptional\nLocalFileSigLevel = Optional/' "$disk/etc/pacman.conf"
}

# The files of Alpine's are those that pacman has installed; and a script belongs to each event, under the name that apk knows.
alpines() {
	local archive script name
	make_package 1 "$work/apk" apk
	archive=$(echo "$work"/apk/*.apk)
	on_host cp /dev/stdin /root/nsnat-1.apk <"$archive"
	types 'tar -C / --warning=no-unknown-keyword -dzf /root/nsnat-1.apk usr && echo all' all
	check "Alpine's has no fewer" "$(host 'pacman -Qlq nsnat' | grep -cv '/$')" \
		bash -c 'tar --warning=no-unknown-keyword -tzf "$1" usr | grep -cv "/$"' - "$archive"
	mkdir "$work/alpine"
	tar --warning=no-unknown-keyword --wildcards -C "$work/alpine" -xzf "$archive" '.*-*'
	while read -r name script; do
		check "Alpine's .$name" '' cmp "$work/alpine/.$name" "$project/scripts/package.d/$script"
	done <<-END
		post-install installed
		post-upgrade installed
		pre-deinstall removing
		post-deinstall removed
	END
}

boot
bare_host
host "$(installs 1) >/dev/null"
installed
alpines
in_use
upgraded
removed
