# shellcheck shell=bash disable=SC2016,SC2034 # a program's own variables; variables of lib.sh
# The main job, both families: a job leaves by the slow router and asks the server that it was told to; nothing of it comes to
# the fast one, also when the ruleset is flushed. A second `up` does nothing. Killed in the midst of it, `up` leaves what
# `down` takes away.

lay_wires
# An emulated machine beside others takes its time.
patience=60
serve_names 8.8.8.8 192.0.2.1
serve_names 2001:4860:4860::8888 192.0.2.1
serve_names 203.0.113.53 192.0.2.53
serve_names 2001:db8:f::53 192.0.2.53

# name SERVER OPTION WORDS..: the address of a name, asked by what WORDS run.
name() { "${@:3}" dig +short +tries=2 +time=5 "$2" "@$1" www.example.test; }

everything >/tmp/before
check 'add' 'slow: up, by eth0 via 192.168.1.254, 2001:db8:1::254' nsnat add slow --gateway 192.168.1.254 \
	--gateway 2001:db8:1::254 --dns 203.0.113.53 --dns 2001:db8:f::53
check 'a job, by both families' $'203.0.113.254\n2001:db8:f::254' eval 'job 4; job 6'
for server in 8.8.8.8 127.0.0.53 2001:4860:4860::8888; do
	check "a job asks $server" 192.0.2.53 name $server +notcp nsnat exec slow --
	check "a job asks $server by TCP" 192.0.2.53 name $server +tcp nsnat exec slow --
done
check 'nothing by the fast router' $'0\n0' eval 'counted fast plain; counted fast names'
check 'the host, by both families' $'203.0.113.1\n2001:db8:f::1' eval 'who 4; who 6'
check 'the host asks' $'192.0.2.1\n192.0.2.1' eval 'name 8.8.8.8 +tcp; name 2001:4860:4860::8888 +notcp'
check 'the host was counted' yes eval '(($(counted fast plain) > 5 && $(counted fast names) > 1)) && echo yes'
check 'again' 'nothing to do' nsnat up
check 'nothing is planned' '' nsnat -q plan
# Before Linux 5.12 packets cannot be followed, which is said.
check 'nothing is wrong' '' eval 'nsnat status --check 2>/tmp/said >/dev/null || echo "exit status $?"
	grep -v "^nsnat: no test packets were sent: to follow them needs Linux 5.12 or later" /tmp/said || :'
nsnat exec --gateway 192.168.1.254 -- true
check 'for one command' 203.0.113.254 ask 4 nsnat exec --gateway 192.168.1.254 --

# Who is inside is not on the host; and a namespace whose file went is found by a process inside.
check 'called inside' 'nsnat: not here: this is inside of namespace slow, and not the host' eval \
	"nsnat exec slow -- nsnat up 2>&1 | grep -v '^hint'"
nsnat exec slow -- sleep 1000 </dev/null >/dev/null 2>&1 &
check 'somebody is inside' sleep eval 'wait_for eval "nsnat ps slow | grep -q sleep" && echo sleep'
inode=$(stat -L -c %i /run/netns/slow)
ip netns del slow
check 'it gets its file back' "$inode" eval 'nsnat -q up; stat -L -c %i /run/netns/slow'
check 'and works' 203.0.113.254 job 4
kill $!

nft flush ruleset
check 'flushed' $'none\nnone' eval 'patience=6; job 4; job 6'
check 'nothing by the fast router when flushed' 0 counted fast plain
check 'healed' $'203.0.113.254\n2001:db8:f::254' eval 'nsnat -q up; job 4; job 6'
ip link set eth0 down
check 'the link is down' none eval 'patience=6; job 4'
ip link set eth0 up
ip route replace default via 192.168.1.1
ip -6 addr replace 2001:db8:1::10/64 dev eth0 nodad
ip -6 route replace default via 2001:db8:1::1
check 'the link is up' $'203.0.113.254\n2001:db8:f::254' eval 'nsnat -q up; job 4; job 6'

check 'down' 'slow: down' nsnat down
nsnat -q up
nsnat -q down

# killed at some of its requests to the kernel, and what `down` leaves then. (A run that does not come to that request ends
# by itself.)
killed() {
	local -i at rounds=0
	for at in 3 24 70; do
		strace -qq -f -o /dev/null -e trace=sendto,sendmsg -e "inject=sendto,sendmsg:signal=KILL:when=$at" nsnat -q up || rounds+=1
		nsnat -q down || return
		diff /tmp/before <(everything) || { echo "is left when killed at request $at" && return 1; }
	done
	((rounds > 1)) && echo 'nothing is left'
}

everything >/tmp/before
check 'up, killed, and down' 'nothing is left' killed
nsnat -q up
check 'down' 'slow: down' nsnat down
check 'nothing is left' '' diff /tmp/before <(everything)
