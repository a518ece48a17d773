# shellcheck shell=bash disable=SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
# The Docker engine: its FORWARD policy drops, its containers leave by the fast router, a port of one is published.

own() {
	check "$1: a container reaches out" "$LAB_WAN_FAST" host \
		"docker run --rm busybox nc -w 2 $LAB_SERVICE 80 </dev/null"
	check "$1: a published port" published at printer curl --silent --max-time 2 "http://$LAB_HOST:8080/"
}

# The image is what Debian's busybox is: there is no registry here.
images() {
	host 'set -e; mkdir -p /tmp/image/{bin,www}; cp /bin/busybox /tmp/image/bin; echo published >/tmp/image/www/index.html
		for name in sh nc httpd; do ln -sf busybox /tmp/image/bin/$name; done
		tar -C /tmp/image -c . | docker import - busybox >/dev/null
		docker run -d --restart=always -p 8080:80 --name web busybox httpd -f -p 80 -h /www >/dev/null'
}

# Its first start, so that it has images by then; what it does to a host stays until the reboot.
started() {
	images
}

boot
drops=yes
cycle docker 'systemctl reload docker'
stopped docker.socket docker
