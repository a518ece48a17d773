# shellcheck shell=bash disable=SC2016,SC2034 # shells inside; variables that are evaluated
# A line that is dialled: a real pppd on the host, which dials again by itself when its line dies, and another one at the
# provider, which answers each call and gives out another address each time. nsnat watch follows; a job goes on with its next
# connection, and nothing of it leaves by the host's own routers meanwhile.

lay_wires
ip netns add isp
ip -n isp link set lo up
router isp 3
node isp nft add rule inet router forward iifname ppp0 tcp dport 80 counter name plain
modprobe -a ppp_generic ppp_async || echo "no ppp: exit status $?"
[[ -e /dev/ppp ]] || mknod /dev/ppp c 108 0
mkdir /run/ppp

# A call is a connection to a socket: each has a pppd of its own.
install -m 755 /dev/stdin /run/ppp/answer <<-'END'
	#!/bin/bash
	echo >>/run/ppp/calls
	echo $$ >/run/ppp/answering
	exec pppd nodetach noauth local noipv6 10.64.0.1:10.64.0.$(($(wc -l </run/ppp/calls) + 1)) 2>>/run/ppp/isp.log
END
node isp socat UNIX-LISTEN:/run/ppp/line,fork EXEC:/run/ppp/answer,pty,raw,echo=0,ctty,setsid 2>/run/ppp/isp.log &

printf '[namespace.slow]\ndev = "ppp0"\nipv6 = "off"\n' >/etc/nsnat/nsnat.toml
nsnat watch >/run/ppp/watch.log 2>&1 &
wait_for grep -q ready /run/ppp/watch.log
check "without a line" none job 4

# dialled: the address and the number of the device, once a job gets out.
dialled() {
	wait_for eval '[[ $(job 4) == 203.0.113.3 ]]' || { tail -n 20 /run/ppp/*.log; return 1; }
	address=$(ip -j -4 addr show ppp0 | jq -r '.[].addr_info[].local')
	index=$(</sys/class/net/ppp0/ifindex)
}

pppd nodetach noauth local noipv6 unit 0 nodefaultroute noipdefault persist holdoff 1 maxfail 0 \
	pty 'socat - UNIX-CONNECT:/run/ppp/line' >/run/ppp/host.log 2>&1 &
check "a job leaves by the line" '' dialled
dialled
first=("$address" "$index")

# A job that asks again and again, and says each time what it was told.
nsnat exec slow -- bash -c 'while :; do timeout 2 socat -u TCP4:198.51.100.80:80 - 2>/dev/null || echo none; sleep 0.1; done' >/run/ppp/job &
job=$!
wait_for grep -q 203 /run/ppp/job
counted fast plain >/dev/null
counted slow-router plain >/dev/null
counted isp plain >/dev/null

for round in 1 2; do
	before=$(grep -c none /run/ppp/job)
	kill -KILL "$(</run/ppp/answering)"
	check "round $round: the line is gone" '' wait_for eval '(($(grep -c none /run/ppp/job) > before))'
	check "round $round: a job goes on" '' wait_for eval '[[ $(tail -n 1 /run/ppp/job) == 203.0.113.3 ]]'
	check "round $round: dialled again" '' dialled
	dialled
	check "round $round: with another address, as another device" yes \
		eval '[[ $address != "${first[0]}" && $index != "${first[1]}" ]] && echo yes'
	first=("$address" "$index")
done
check "it is the same job" yes eval 'kill -0 $job && echo yes'
check "it was told the address of its line, or nothing" $'203.0.113.3\nnone' eval 'sort -u /run/ppp/job'
check "nothing else to do" 'nothing to do' nsnat up
check "up" up eval "nsnat status slow -o json 2>/dev/null | jq -r '.namespaces[0].state'"
check "nothing by the fast router" 0 counted fast plain
check "nothing by the slow router" 0 counted slow-router plain
check "what leaves by the line is counted" yes eval '(($(counted isp plain) > 2)) && echo yes'
check "what leaves by the fast router is counted" $'203.0.113.1\nyes' eval 'who 4; (($(counted fast plain) > 2)) && echo yes'
