# shellcheck shell=bash disable=SC2034 # variables of scripts/bench
# release
# What a program costs in a namespace by nsnat, beside the same by ip: the quotients of `scripts/bench exec` on this kernel.

lay_wires
root=$PROJECT rounds=3 LAB_SLOW=192.168.1.254 LAB_NEW=203.0.113.53
# An emulated machine takes its time.
export NSNAT_STARTS=30 NSNAT_TURNS=3
ln -s /usr/local/bin/starts /usr/local/bin/nothing /run/lab/
die() { echo "$*" && exit 1; }
for part in measure exec batch; do
	# shellcheck source=/dev/null # the parts of scripts/bench
	source "$PROJECT/scripts/bench.d/$part.sh"
done
bench_exec | tee /run/lab/measured

# The most that each may be. They are not goals: docs/performance.md has those.
limits() {
	cat <<-'END'
		exec : ip netns exec|0.7
		exec's own : ip netns's own|0.6
		exec : nsenter|0.9
		exec : ip netns, true(1)|0.9
		ephemeral : by hand|0.6
	END
}

# medians: of the rounds, each a line: name|quotient.
medians() {
	local name most
	while IFS='|' read -r name most; do
		printf '%s|%s\n' "$name" "$(sed -n "s/^$name  *\([0-9.]*\).*/\1/p" /run/lab/measured | median)"
	done < <(limits)
}

medians >/run/lab/medians
check 'all was measured' 5 eval 'grep -c "|[0-9.]*$" /run/lab/medians'
check 'no quotient is too large' '' eval \
	"join -t '|' <(limits | sort) <(sort /run/lab/medians) | awk -F '|' '\$3 + 0 > \$2 + 0'"
measured=$(sed 's/|/ /' /run/lab/medians | paste -s -d ';' | sed 's/;/; /g')
