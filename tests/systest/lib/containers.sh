# shellcheck shell=bash disable=SC2154,SC2016,SC2015 # variables of scripts/systest; scripts for the host
#
# What scenarios of container engines share. A container is started and ended by words of the scenario:
#
#   start N, finish N          lines of shell for the host; the container is called cN
#   inside N COMMAND..         a line of shell: the command in the container, with a shell's words
#   killed N                   numbers of the processes of the container, and of what looks after it
#   busy                       names of programs that end when they are through, as pgrep has them
#   clean                      a line of shell: the engine removes all containers
#
#   image_tar                  /tmp/image.tar on the host: what Debian's busybox is; there is no registry here
#   $image, docker_image       what is said of it to `podman import`; a line of shell that gives it to Docker
#   documented PAGE KIND       the blocks ```sh KIND of docs/PAGE, line after line; `# → TEXT`: the output holds TEXT
#   gets_out N                 by the slow router in both families, and names are asked there
#   names N                    names are asked there
#   asks NODE ADDRESS PORT     what a client there is told by a container's web server
#   published PORT             the web server is reached by that port of the slow router, in both families, and answers by that
#                              router; by another device it is not reached
#   serve_on_host              services of the host: 5432 on its loopback, 8081 everywhere
#   host_services LINE         the line starts c9, in a network that has chosen port 5432: it reaches that, and nothing else of the
#                              host; c1, in one that has chosen nothing, reaches what any neighbour does; nothing of both is left
#   host_and_others WHEN       the host and a container of another network (`other COMMAND`) go by the fast router
#   rebooted                   the node; what starts again leaves as before, and of all else nothing is left
#   many COUNT                 that many at once, or NSNAT_MANY; a third of them is killed; what the engine cleans up leaves nothing

# Engines ask a kernel for control groups that a machine without all rights cannot let them have. Whoever asks for the processes of
# a container is told the first one then: containerd, when it starts again, takes a container without processes for one that ended.
containers_without_cgroups() {
	put /etc/containers/containers.conf <<-'END'
		[containers]
		cgroups = "disabled"
	END
	put /usr/local/bin/runc 755 <<-'END'
		#!/bin/bash
		set -- --cgroup-manager=disabled "$@"
		[[ $* != *' ps --format json '* ]] || exec crun "${@:1:$#-4}" state "${@: -1}" > >(sed -n 's/.*"pid": *\([0-9]*\).*/[\1]/p')
		exec crun "$@"
	END
	ln -s /usr/local/bin/nsnat "$disk/usr/bin/nsnat"
}

# The first process of a container does not hear a signal that it does not handle, and engines wait ten seconds for each.
readonly image='--change STOPSIGNAL=9'
readonly docker_image='docker import - whole </tmp/image.tar >/dev/null
	printf "FROM whole\nSTOPSIGNAL 9\n" | DOCKER_BUILDKIT=0 docker build -q -t busybox - >/dev/null 2>&1'

image_tar() {
	host 'set -e; mkdir -p /tmp/image/{bin,etc,proc,sys,dev,tmp,run,www}; cp /bin/busybox /tmp/image/bin
		for name in sh cat ip nc httpd nslookup sleep; do ln -s busybox /tmp/image/bin/$name; done
		echo published >/tmp/image/www/index.html; tar -C /tmp/image -cf /tmp/image.tar .'
}

# A here-document goes on until END: its lines are no commands.
marked() {
	awk -v fence="\`\`\`sh $2" '$0 == "```" { open = 0 } open {
			if (!text && NF) printf "echo \"=== %d\"\n", NR
			print
			if (/<<-?.END./) text = 1
			if (/^END$/) text = 0
		}
		$0 == fence { open = 1 }' "$project/docs/$1"
}

documented() {
	local page=$1 kind=$2 script said line wanted number
	script=$(marked "$page" "$kind")
	[[ -n $script ]] || die_now "docs/$page has no block of the kind $kind"
	checks+=1
	said=$(host "exec 2>&1; set -eo pipefail; cd /root; $script") || fail "docs/$page" "$said"
	while IFS=: read -r number line; do
		checks+=1
		wanted=${line##*# → }
		line=$(awk -v mark="=== $number" '/^=== [0-9]+$/ { own = $0 == mark; next } own' <<<"$said")
		[[ $line == *"$wanted"* ]] || fail "docs/$page:$number does not print $wanted" "$line"
	done < <(marked "$page" "$kind" | awk '/^echo "=== / { gsub("[^0-9]", "", $3); number = $3 } / # → / { print number ":" $0 }')
}

gets_out() {
	check "$1: by which router" "$LAB_WAN_SLOW $LAB_WAN_SLOW6" host "echo \$($(inside "$1" \
		"nc -w 2 $LAB_SERVICE 80 </dev/null; nc -w 2 $LAB_SERVICE6 80 </dev/null"))"
	names "$1"
}

names() {
	check "$1: who answers names" 192.0.2.53 host \
		"$(inside "$1" "nslookup -type=a job.example.test $LAB_OLD") | sed -n 's/^Address: *\\(192[0-9.]*\\)\$/\\1/p'"
}

asks() {
	at "$1" curl --silent --show-error --max-time 2 "http://$2:$3/index.html"
}

# The routers pass on what somebody outside asks them: the fast one to another port, where nothing is, so that the host's own
# answer is seen there.
published() {
	local port=$1 by_fast
	passed_on slow "$port"
	passed_on fast "$((port + 100))"
	by_fast=$(lab_capture fast "src port $port")
	check "port $port by the slow router" published asks inet "$LAB_WAN_SLOW" "$port"
	check "port $port by the slow router, IPv6" published asks inet "[$LAB_WAN_SLOW6]" "$port"
	check "port $port of a neighbour" published asks printer "$LAB_HOST" "$port"
	checks+=3
	nothing_by fast "port $port" "$(captured "$by_fast")"
	by_fast=$(lab_capture fast "src port $((port + 100))")
	! asks inet "$LAB_WAN_FAST" "$((port + 100))" >/dev/null 2>&1 || fail "port $((port + 100)) is not published"
	[[ -n $(captured "$by_fast") ]] || fail "port $port: the capture has not seen the host's own answer"
	! asks third "$LAB_HOST_THIRD" "$port" >/dev/null 2>&1 || fail "port $port by another device"
}

# passed_on ROUTER PORT: from that router's port to the same one of the host.
passed_on() {
	at "$1" nft -f - <<-END
		table inet passed
		delete table inet passed
		table inet passed { chain asked { type nat hook prerouting priority -100
			iifname wan0 tcp dport $2 dnat ip to $LAB_HOST:$2
			iifname wan0 tcp dport $2 dnat ip6 to [$LAB_HOST6]:$2; }; }
	END
}

# not_published PORT
not_published() {
	checks+=1
	! asks printer "$LAB_HOST" "$1" >/dev/null 2>&1 || fail "port $1 is still published"
	check "nothing is published" 0 host 'nft list table inet nsnat 2>/dev/null | grep -c "^ *elements = { \"eth0\" \. tcp"; true'
}

serve_on_host() {
	host 'socat TCP4-LISTEN:5432,bind=127.0.0.1,reuseaddr,fork EXEC:"echo database" </dev/null >/dev/null 2>&1 & disown
		socat TCP4-LISTEN:8081,reuseaddr,fork EXEC:"echo other" </dev/null >/dev/null 2>&1 & disown
		until ss -Hltn "sport = :5432" | grep -q . && ss -Hltn "sport = :8081" | grep -q .; do sleep 0.1; done'
}

# told_by N ADDRESS PORT: what that container is told there.
told_by() {
	host "$(inside "$1" "nc -w 2 $2 $3 </dev/null") 2>&1 | grep -o 'database\|other\|refused' | head -n 1"
}

host_services() {
	host "$1 >/dev/null; $(start 1) >/dev/null"
	gets_out 9
	check "a service of the host that was chosen" database told_by 9 169.254.213.1 5432
	check "by another address it does not listen" refused told_by 9 "$LAB_HOST" 5432
	check "a service of the host that was not chosen" refused told_by 9 "$LAB_HOST" 8081
	check "on its loopback" refused told_by 9 169.254.213.1 8081
	check "where nothing was chosen, nothing is reached on the loopback" refused told_by 1 169.254.213.1 5432
	check "where nothing was chosen, the rest is reached" other told_by 1 "$LAB_HOST" 8081
	check "status knows it" '"5432/tcp"' host 'nsnat status -o json | grep -o "\"5432/tcp\"" | sort -u'
	healthy "with a service of the host"
	host "{ $(finish 9); $(finish 1); } >/dev/null"
	check "no service is open any more" '' host 'for set in host_only host_ports; do nft list set inet nsnat $set; done 2>/dev/null | grep elements; true'
}

host_and_others() {
	local ask="nc -w 2 $LAB_SERVICE 80 </dev/null"
	check "$1: the host" "$LAB_WAN_FAST $LAB_WAN_FAST6" host \
		"echo \$(busybox $ask) \$(busybox nc -w 2 $LAB_SERVICE6 80 </dev/null)"
	check "$1: a container of another network" "$LAB_WAN_FAST" host "$(other "$ask")"
}

# What there is of links, namespaces and nsnat, and all that others have configured; once nobody works on it any more. systemd
# has nsnat repair what is up when an engine makes the host a router, so there may be a lock for a moment where nothing is. (The daemon
# never ends.)
look() {
	wait_for 30 host "! pgrep -ax '$busy' | grep -qv 'nsnat watch' && [[ ! \$(systemctl list-jobs --no-legend) ]] &&
		{ ls /run/netns /run/nsnat >/tmp/listed 2>&1; ! grep -qx lock /tmp/listed || grep -qx state.json /tmp/listed; }" ||
		fail "still at work" "$(host "pgrep -ax '$busy'; cat /tmp/listed")"
	state "$1"
	host 'ip -br link | cut -d" " -f1; cat /tmp/listed; nsnat list' >>"$work/$1"
}

# How many namespaces and attachments.
readonly are_up='nsnat -o json status | grep -c "\"state\": *\"up\""; true'

many() {
	local count=${NSNAT_MANY:-$1} watched by_slow
	look before-many
	capture
	host "for n in \$(seq $count); do $(start '$n') >/dev/null 2>/tmp/said.\$n & done; wait; cat /tmp/said.* | head -n 5"
	check "$count at once are up" "$count" host "$are_up"
	check "$count at once by the slow router" "$count $LAB_WAN_SLOW" host \
		"{ for n in \$(seq $count); do $(inside '$n' "nc -w 5 $LAB_SERVICE 443 </dev/null") & done; wait; } 2>&1 | sort | uniq -c | awk '{ print \$1, \$2 }'"
	host "for n in \$(seq 2 3 $count); do kill -9 $(killed '$n') 2>/dev/null; done; true"
	host "for n in \$(seq 1 3 $count); do $(finish '$n') >/dev/null 2>&1 & done; wait"
	check "one that nobody killed" "$LAB_WAN_SLOW" host "$(inside 3 "nc -w 2 $LAB_SERVICE 443 </dev/null")"
	host "{ $clean || $clean; } >/dev/null 2>&1"
	look after-many
	same "a third of $count killed, all removed" before-many after-many
	by_slow_alone "a third of $count killed"
}

# rebooted: the node, in an orderly way and by its plug. `lasting` starts a container that is started again at boot and has port 8443
# asked all the time, and `ends` ends it; `start 1` starts one that stays off. `again` is what somebody else does after a boot.
rebooted() {
	local how watched by_slow
	host "$lasting >/dev/null; $(start 1) >/dev/null"
	for how in orderly hard; do
		gets_out lasting
		gets_out 1
		reboot "$how" capture
		host "${again-}"
		gets_out lasting
		check "$how: the one that is on, and no other, is known" 1 host "$are_up"
		healthy "$how: a container that started after the boot"
		check "$how: the host" "$LAB_WAN_FAST" host "busybox nc -w 2 $LAB_SERVICE 80 </dev/null"
		by_slow_alone "$how: since the boot"
		host "$(finish 1) >/dev/null 2>&1; $(start 1) >/dev/null"
	done
	gets_out 1
	check "what nsnat has made is seen" yes host "[ \"\$($traces)\" ] && echo yes"
	host "{ $ends; $clean || $clean; nsnat down; } >/dev/null 2>&1"
	check "rebooted, all removed, nsnat down: nothing is left" '' host "$traces"
}

# (The service's address, as pages have it.)
readonly sends='while :; do nc -w 1 198.51.100.80 8443 </dev/null; sleep 0.1; done'
readonly traces='nft list ruleset 2>/dev/null | grep nsnat; iptables-save 2>/dev/null | grep devgroup; ip rule | grep 213; ip -6 rule | grep 213
	ip -br link | grep ^nsn; find /run/nsnat 2>/dev/null; true'

# What containers send to the ports that they alone ask, and the host does not.
capture() {
	watched=$(lab_capture fast "port 443 or port 8443 or port 853 or net 10.213.0.0/16 or net fd6e:736e:6174::/48")
	by_slow=$(lab_capture slow "port 443 or port 8443")
}

# by_slow_alone WHEN: that is what was captured.
by_slow_alone() {
	local seen
	host "for i in 1 2 3; do echo control >/dev/udp/$LAB_SERVICE/853; done"
	seen=$(captured "$watched")
	checks+=3
	grep -q '\.853: ' <<<"$seen" || fail "$1: the capture on the fast router has not seen the host's own packet"
	nothing_by fast "$1" "$(grep -v '\.853[: ]' <<<"$seen" || true)"
	[[ -n $(captured "$by_slow") ]] || fail "$1: the slow router has seen nothing of the containers"
}
