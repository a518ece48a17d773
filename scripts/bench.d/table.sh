# shellcheck shell=bash
#
# The table of docs/performance.md and its picture: what is measured, the most that it should be, and what it was.

# Each line: what is measured, as the bench says it, and the goal. Every one is a quotient, and less is better.
goals() {
	cat <<-'END'
		up of one : its lines|0.20|`up` of one namespace, by the lines of `nsnat plan --commands` in a shell
		up of one : the floor|2.00|`up` of one namespace, by its changes of the kernel alone (the floor)
		up of many : its lines|0.05|`up` of 200, by the lines of `nsnat plan --commands` in a shell
		up of many : ip -batch|0.35|`up` of 200, by the same lines in a few programs (`ip -batch`, one `nft -f`)
		up of many : the floor|1.50|`up` of 200, by its changes of the kernel alone
		down : ip netns del|0.30|`down` of 200, by `ip netns del` one by one
		each of all : each of 100|1.30|`up` of one namespace among 1,000, by that of one among 100
		up again : first of all|0.10|`up` of 1,000 that are up, by the first `up`
		up of one more : first|1.50|`up` of one beside 1,000, by the same beside none
		down of one : beside none|1.50|`down` of one beside 1,000, by the same beside none
		dns set : beside none|1.50|`dns NAME set` beside 1,000, by the same beside none
		ephemeral : beside none|1.50|`exec --gateway` beside 1,000, by the same beside none
		status : ip link, list-id|3.00|`status -o json` of 1,000, by `ip -d -j link` and `ip netns list-id`
		10,000: each of all : each of 100|1.30|`up` of one namespace among 10,000, by that of one among 100
		10,000: up of one more : first|1.50|`up` of one beside 10,000, by the same beside none
		10,000: down of one : beside none|1.50|`down` of one beside 10,000, by the same beside none
		10,000: dns set : beside none|1.50|`dns NAME set` beside 10,000, by the same beside none
		10,000: ephemeral : beside none|1.50|`exec --gateway` beside 10,000, by the same beside none
		exec's own : ip netns's own|0.20|what `exec` adds to a program, by what `ip netns exec` adds
		burst, watch : up|2.00|1,000 deleted addresses, until `nsnat watch` has put them back, by one `up` that does
		dns rewritten : direct|1.03|a query that is rewritten, by one that is not
		connections : by hand|1.03|new TCP connections, by a masquerade made by hand
		bulk : by hand|1.03|a transfer by TCP, by a masquerade made by hand
		packets : by hand|1.03|the same in small packets, by a masquerade made by hand
		host's own : without|1.03|new TCP connections of the host's own, by the same while nsnat is down
		connections beside : alone|1.03|new TCP connections beside 10,000, by the same beside none
		bulk beside : alone|1.03|a transfer by TCP beside 10,000, by the same beside none
		packets beside : alone|1.03|the same in small packets beside 10,000, by the same beside none
		host's own beside : alone|1.03|new TCP connections of the host's own beside 10,000, by the same beside one
	END
}

# The most that a change may leave of these, beside 200 namespaces and on a big host: twice what they are. They are not goals. They
# fail when a command begins to cost the square of the number of namespaces, or ten times what it did.
limits() {
	cat <<-'END'
		status : ip link, list-id|16
		up of one more : first|3
		down of one : beside none|3
		dns set : beside none|3
		ephemeral : beside none|4
		up again : first of all|0.3
		each of all : each of 100|2.5
		down of all : up of all|1
		routes, the worst : nothing|25
		rules, the worst : nothing|3
		flows, the worst : nothing|4
		processes, the worst : nothing|6
		links, the worst : nothing|3
	END
}

# guard FILE: fails, and names each that is over its limit, or was not measured.
guard() {
	awk -F '|' '
		NR == FNR { most[$1] = $2; next }
		{
			name = substr($0, 1, 36); sub(/ +$/, "", name)
			split(substr($0, 37), words, " ")
			if (!(name in most)) next
			seen[name] = 1
			if (words[1] + 0 > most[name] + 0) { printf "bench: %s is %s, and may be %s\n", name, words[1], most[name]; bad = 1 }
		}
		END {
			for (name in most) if (!(name in seen)) { printf "bench: %s was not measured\n", name; bad = 1 }
			exit bad
		}
	' <(limits) "$1" >&2
}

# table_rows FILE: of the lines of all rounds: name|what|goal|median|least|most.
table_rows() {
	awk -F '|' '
		NR == FNR { goal[$1] = $2; what[$1] = $3; order[++names] = $1; next }
		{
			name = substr($0, 1, 36); sub(/ +$/, "", name)
			rest = substr($0, 37); split(rest, words, " ")
			if (name in goal) all[name] = all[name] " " words[1]
		}
		END {
			for (i = 1; i <= names; i++) {
				name = order[i]
				count = split(all[name], times, " ")
				if (!count) continue
				for (a = 1; a <= count; a++) for (b = a + 1; b <= count; b++) if (times[b] + 0 < times[a] + 0) { t = times[a]; times[a] = times[b]; times[b] = t }
				printf "%s|%s|%s|%s|%s|%s\n", name, what[name], goal[name], times[int(count / 2) + 1], times[1], times[count]
			}
		}
	' <(goals) "$1"
}

as_table() {
	echo '| measured | goal | median | least to most | |'
	echo '|---|---|---|---|---|'
	awk -F '|' '{ printf "| %s | %s | %s | %s to %s | %s |\n", $2, $3, $4, $5, $6, ($4 <= $3 ? "holds" : "**falls short**") }'
}

# A bar for each: how much of its goal it takes. The line is the goal.
as_picture() {
	awk -F '|' '
		BEGIN { text = "font-family=\"sans-serif\" font-size=\"13\" fill=\"#777\"" }
		{ name[NR] = $1; share[NR] = $4 / $3; shown[NR] = $4 " of " $3 }
		END {
			printf "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"720\" height=\"%d\">\n", NR * 24 + 30
			for (i = 1; i <= NR; i++) {
				width = (share[i] > 2.5 ? 2.5 : share[i]) * 150
				printf "<text x=\"4\" y=\"%d\" %s>%s</text>\n", i * 24, text, name[i]
				printf "<rect x=\"200\" y=\"%d\" width=\"%d\" height=\"16\" fill=\"%s\"/>\n", i * 24 - 13, width, share[i] <= 1 ? "#4a8" : "#c74"
				printf "<text x=\"%d\" y=\"%d\" %s>%s</text>\n", 206 + width, i * 24, text, shown[i]
			}
			printf "<line x1=\"350\" y1=\"8\" x2=\"350\" y2=\"%d\" stroke=\"#777\" stroke-dasharray=\"4\"/>\n", NR * 24 + 8
			printf "<text x=\"320\" y=\"%d\" %s>the goal</text>\n</svg>\n", NR * 24 + 24, text
		}
	'
}

# write_table FILE: puts the table and the picture of these results into the documents.
write_table() {
	local page=$root/docs/performance.md rows
	rows=$(table_rows "$1")
	as_picture <<<"$rows" >"$root/docs/performance.svg"
	as_table <<<"$rows" >"$1.table"
	awk -v table="$1.table" '
		/^<!-- table -->$/ { print; while ((getline line <table) > 0) print line; skip = 1; next }
		/^<!-- end of table -->$/ { skip = 0 }
		!skip
	' "$page" >"$1.page"
	cat "$1.page" >"$page"
	cat "$1.table"
}
