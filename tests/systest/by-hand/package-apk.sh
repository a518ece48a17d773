# shellcheck shell=bash disable=SC2034,SC2154,SC2016 # variables of scripts/systest and lib/package.sh; scripts for the host
# Alpine's package, by apk, with Alpine's shell, in a Debian: package-apk@trixie.
#
# Run by hand, because no Debian has apk-tools: APK is the path of a static apk, of version 2 or 3.

# shellcheck source=../tests/systest/lib/package.sh
source "$scenarios/lib/package.sh"
readonly kind=apk own=(/etc/apk /lib/apk /usr/lib/apk /var/lib/apk)
# Version 3 marks what a script says by a star.
readonly removes='apk del nsnat 2>&1 | sed "s/^  [*] //"'
# nfpm writes no checksums for links, so that apk takes them for changed.
readonly verifies='apk audit --system | grep -v "[.]wants/" || true'
readonly allows=$by_tmpfiles zsh=share/zsh/site-functions/_nsnat licence=share/licenses/nsnat/LICENSE-MIT
installs() { echo "apk add --allow-untrusted --no-network /root/nsnat-$1.apk"; }

prepare() {
	install -m 755 "${APK?the path of a static apk}" "$disk/usr/local/sbin/apk"
	ln -sf busybox "$disk/usr/bin/sh"
}

boot
host 'apk add --initdb --no-network'
bare_host
host "$(installs 1) >/dev/null"
installed
in_use
upgraded
removed
