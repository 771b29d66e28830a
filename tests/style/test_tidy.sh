#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# test_tidy.sh TIDY: breaks each rule of tidy.sh once, in a folder of its own, and expects that tidy.sh
# says so and fails; a sound file, and the banned words in comments and strings, must pass.

tidy=$1
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
failed=0

# begin FILE: an empty tree with the head of FILE, whose body comes from standard input.
begin()
{
	rm -rf "$work/tree"
	mkdir -p "$work/tree/$(dirname "$1")"
	{
		printf '/* SPDX-License-Identifier: BSD-2-Clause */\n/*\n * A file.\n */\n'
		cat
	} > "$work/tree/$1"
}

# breaks RULE NAME: tidy.sh must fail and name the rule.
breaks()
{
	if sh "$tidy" "$work/tree" > "$work/said"; then
		echo "not noticed: $2"
		failed=1
	elif ! grep -q ": $1: " "$work/said"; then
		echo "another rule was named for: $2"
		cat "$work/said"
		failed=1
	fi
}

passes()
{
	if ! sh "$tidy" "$work/tree" > "$work/said"; then
		echo "a breach was seen where there is none: $1"
		cat "$work/said"
		failed=1
	fi
}

repeat()
{
	awk -v n="$1" -v line="$2" 'BEGIN { while (n-- > 0) print line }'
}

printf 'int a;\n' | begin runtime/a.c
passes 'a sound file'
printf '/* volatile, usleep(1), TO-DO, ck_ring, rcu_read_lock */\nconst char *a = "volatile ck_";\n' |
	begin runtime/a.c
passes 'banned words in comments and strings'
printf '/*\n * volatile\n */\nint stack_size, clack_;\n' | begin collector/a.c
passes 'banned words in a long comment, and within names'
{ printf 'int f(void)\n{\n'; repeat 70 '	f();'; printf '}\n'; } | begin runtime/a.c
passes 'a function of 70 lines'
printf '#include <ck_ring.h>\nint a = ck_pr(rcu_b);\n' | begin runtime/platform/a.c
passes 'Concurrency Kit and liburcu in their room'
printf '#include <urcu/urcu-qsbr.h>\n#include <gyre/gyre.h>\n#include "support.h"\n' | begin tests/api/a.c
passes 'what a test may include'

{ printf 'int a;'; repeat 1 "$(printf '%100s' '' | tr ' ' 'b')"; } | begin runtime/a.c
breaks length 'a line of over 100 columns'
printf '\t\t\t\t\t\t\t\t\t\t\t\tint aaaaaa;\n' | begin runtime/a.c
breaks length 'a line that is over 100 columns by its tabs'
repeat 600 'int a;' | begin runtime/a.h
breaks length 'a file of over 600 lines'
{ printf 'int f(void)\n{\n'; repeat 71 '	f();'; printf '}\n'; } | begin runtime/a.c
breaks function 'a function of 71 lines'
printf 'int a; \n' | begin runtime/a.c
breaks blank 'a blank at the end of a line'
printf '        int a;\n' | begin runtime/a.c
breaks blank 'blanks for a tab'
printf 'int a; /* TO''DO */\n' | begin runtime/a.c
breaks unfinished 'a note of something to do'
printf 'int a;\n' | begin runtime/a.c
printf 'int a;\nint b;\n' > "$work/tree/runtime/b.h"
breaks spdx 'a file without the licence'
breaks purpose 'a file without its purpose'
printf 'int a = ck_pr_load(b);\n' | begin runtime/a.c
breaks words 'ck_ in runtime/'
printf '#include <ck_ring.h>\n' | begin stress/a.c
breaks words 'a header of Concurrency Kit in stress/'
printf '#include <urcu-qsbr.h>\n' | begin collector/a.c
breaks words 'a header of liburcu in collector/'
printf 'void f(void)\n{\n\trcu_read_lock();\n}\n' | begin runtime/a.c
breaks words 'rcu_ in runtime/'
printf 'int f = urcu_qsbr_x;\n' | begin collector/a.c
breaks words 'urcu in collector/'
for room in runtime runtime/platform collector collections inspect serve include/gyre gyre-heap stress; do
	printf 'volatile int a;\n' | begin $room/a.c
	breaks words "volatile in $room/"
	printf 'int a = atomic_thread_fence(b);\n' | begin $room/a.c
	breaks words "a fence in $room/"
	printf 'int a = usleep(5);\n' | begin $room/a.c
	breaks words "usleep in $room/"
done
printf '#include "collector/trial.h"\n' | begin runtime/a.c
breaks include 'a collector header in runtime/'
printf '#include "../collector/trial.h"\n' | begin runtime/platform/a.h
breaks include 'a collector header in runtime/platform/'
printf '#include "collector/trial.h"\n' | begin collections/a.c
breaks include 'a collector header in collections/'
printf '#include "collector/collector.h"\n' | begin inspect/a.c
breaks include 'a collector header in inspect/'
printf '#include "inspect/graph.h"\n' | begin collector/a.c
breaks include 'a header of inspect/ in collector/'
for room in runtime collector inspect; do
	printf '#include "../collections/table.h"\n' | begin $room/a.c
	breaks include "a header of collections/ in $room/"
done
for room in runtime collector collections inspect; do
	printf '#include "../serve/text.h"\n' | begin $room/a.c
	breaks include "a header of serve/ in $room/"
done
for header in collector/word.h collections/table.h inspect/graph.h; do
	printf '#include "../%s"\n' $header | begin serve/a.c
	breaks include "$header in serve/"
done
for room in gyre-heap stress examples tests/api; do
	printf '#include "runtime/heap.h"\n' | begin $room/a.c
	breaks include "an internal header in $room/"
	printf '#include "../collector/word.h"\n' | begin $room/a.c
	breaks include "a header of collector/ in $room/"
done
rm -rf "$work/tree"
mkdir "$work/tree"
if sh "$tidy" "$work/tree" > "$work/said" 2>&1; then
	echo "not noticed: there is nothing to check"
	failed=1
fi

[ $failed = 0 ] && echo "tidy.sh notices every breach"
exit $failed
