# shellcheck shell=bash disable=SC2154 # lab_d is of `lab`
#
# What answers in the lab. At the service address on `inet`, IPv4 and IPv6:
#
#   80    tcp, udp   one line: the client's address as seen here (443 and 853
#                    of every address on `inet` lead here, too)
#   7     tcp        echo, stays open
#   9997  tcp        a line "tick N" every 0.1 s, for ever: a job that must not be cut off
#   9998  tcp        swallows an upload, then answers the number of bytes
#   9999  tcp        sends 3000000 zero bytes
#
# `printer` has 80 and 7. DNS servers, a dnsmasq each, bound to their own
# addresses; queries are logged to /run/lab/dns/NAME.log:
#
#   *.example.test   LAB_ANSWER_{OLD,NEW,SECOND,NEW_5353}: another one from each
#   whoami.test      TXT: old, new, second, new-5353
#   service.test     the service address, from all of them
#   big.test         TXT, 2000 bytes: EDNS0, fragments, or tcp
#   anything else    NXDOMAIN

start_services() {
	# A path without the characters that mean something to socat.
	install -m 755 "$lab_d/serve" /run/lab/serve
	listen_tcp inet "$LAB_SERVICE" "$LAB_SERVICE6" 80 7 9997 9998 9999
	listen_tcp printer "$LAB_PRINTER" "$LAB_PRINTER6" 80 7
	listen_udp inet "$LAB_SERVICE" "$LAB_SERVICE6"
	listen_udp printer "$LAB_PRINTER" "$LAB_PRINTER6"
	in_parallel start_dns old new second new-5353 stub
	wait_listening inet 12
	wait_listening printer 6
}

# listen_tcp NODE ADDR ADDR6 PORT..
listen_tcp() {
	local node=$1 addr=$2 addr6=$3 port what
	shift 3
	for port in "$@"; do
		what="EXEC:/run/lab/serve $port"
		[[ $port != 7 ]] || what=PIPE
		listen "$node" "TCP4-LISTEN:$port,bind=$addr,reuseaddr,fork,backlog=128" "$what"
		listen "$node" "TCP6-LISTEN:$port,bind=[$addr6],reuseaddr,fork,backlog=128" "$what"
	done
}

listen_udp() {
	daemon "$1" "$lab_d/datagrams" 80 "$2" "$3"
}

# -t: how long a half-closed connection may go on (the byte count after an upload).
listen() {
	daemon "$1" socat -t 10 "$2" "$3"
}

# daemon NODE CMD..
daemon() {
	nsenter --net="/run/lab/net/$1" -- "${@:2}" </dev/null >>/run/lab/log/services 2>&1 &
	disown $!
}

# A socket that listens queues clients, so that is when a service is ready.
# dnsmasq's are not counted; it returns when it has bound.
wait_listening() {
	local node=$1 count=$2 tries=6000
	while (($(on "$node" ss -Hlntu 'sport != 53 and sport != 5353' | wc -l) < count)); do
		((--tries)) || die "the services of $node did not start: $(</run/lab/log/services)"
		sleep 0.01
	done
}

start_dns() {
	case $1 in
	old) dns_server old 53 "$LAB_OLD" "$LAB_OLD6" "$LAB_ANSWER_OLD" "$LAB_ANSWER_OLD6" ;;
	new) dns_server new 53 "$LAB_NEW" "$LAB_NEW6" "$LAB_ANSWER_NEW" "$LAB_ANSWER_NEW6" ;;
	second) dns_server second 53 "$LAB_SECOND" "$LAB_SECOND6" "$LAB_ANSWER_SECOND" "$LAB_ANSWER_SECOND6" ;;
	new-5353) dns_server new-5353 5353 "$LAB_NEW" "$LAB_NEW6" "$LAB_ANSWER_NEW_5353" "$LAB_ANSWER_NEW_53536" ;;
	stub) dns_stub ;;
	esac
}

# run_dnsmasq NODE NAME, configuration on stdin: returns when it is bound and in the
# background. It stays root: there is nobody to be protected from it, and a bare
# machine may have no user for it. No cache: a query in is a query out.
run_dnsmasq() {
	local conf=/run/lab/dns/$2.conf
	{
		printf '%s\n' user=root group=root pid-file= no-resolv no-hosts no-poll bind-interfaces \
			cache-size=0 edns-packet-max=4096 log-queries=extra "log-facility=/run/lab/dns/$2.log"
		cat
	} >"$conf"
	on "$1" dnsmasq --conf-file="$conf"
}

# dns_server NAME PORT ADDR ADDR6 ANSWER ANSWER6
dns_server() {
	local big i
	printf -v big '%0249d' 0
	{
		printf '%s\n' "port=$2" "listen-address=$3,$4" \
			"address=/example.test/$5" "address=/example.test/$6" \
			"host-record=service.test,$LAB_SERVICE,$LAB_SERVICE6" "txt-record=whoami.test,$1"
		for i in {1..8}; do
			echo "txt-record=big.test,$i$big"
		done
		echo 'address=/#/'
	} | run_dnsmasq inet "$1"
}

# The host's own resolver, at the addresses that systemd-resolved, dnsmasq and unbound use.
dns_stub() {
	run_dnsmasq host stub <<-END
		listen-address=127.0.0.53,127.0.0.54,127.0.0.1,::1
		server=$LAB_OLD
	END
}
