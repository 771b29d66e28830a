#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh PROGRAM SCRIPT: what the commands of tools/gyre-gdb.py say of a program that stands in
# stop_here, and of a core of it: the same. Ends with 77, which is a skip, where there is no gdb,
# where it may not trace, or where the library was built without debug information.
program=$1
script=$2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT
# A thread of LeakSanitizer's own cannot trace a program that is traced.
export ASAN_OPTIONS=detect_leaks=0

command -v gdb >/dev/null || { echo "skipped: there is no gdb"; exit 77; }
readelf -S "$program" | grep -q '\.debug_info' ||
	{ echo "skipped: built without debug information"; exit 77; }

cat >"$work/commands" <<'END'
gyre heap the_heap
gyre object the_thing
gyre object the_large
gyre cell the_cell
gyre mutator the_mutator
gyre mutator all the_heap
END
# Each of these is refused, and the next command runs still.
cat >"$work/wrong" <<'END'
python
for wrong in ("gyre object 8", "gyre object (char *)the_thing + 8", "gyre object &the_thing",
        "gyre heap 8", "gyre mutator 8", "gyre mutator all"):
    try:
        gdb.execute(wrong)
        print("accepted: " + wrong)
    except gdb.error as error:
        print("refused: %s: %s" % (wrong, error))
end
END
cat >"$work/live" <<END
set pagination off
set debuginfod enabled off
source $script
break stop_here
run
source $work/commands
source $work/wrong
gcore $work/core
END
timeout 100 gdb -nx -batch -x "$work/live" "$program" >"$work/live.out" 2>&1 </dev/null
if grep -qi 'could not trace\|ptrace: operation not permitted' "$work/live.out"; then
	echo "skipped: gdb may not trace here"
	exit 77
fi
failed=0
# says WHERE LINE: an extended regular expression, of a whole line.
says() {
	grep -qxE "$2" "$work/$1.out" && return
	echo "$1 does not say: $2"
	failed=1
}
for where in live core; do
	if [ $where = core ]; then
		[ -f "$work/core" ] || { echo "there is no core"; failed=1; break; }
		timeout 100 gdb -nx -batch -ex 'set debuginfod enabled off' -ex "source $script" \
			-x "$work/commands" "$program" "$work/core" >"$work/core.out" 2>&1 </dev/null
	fi
	says $where "heap watched, engine (tagged|recycler)"
	says $where "epochs [1-9][0-9]*, live 3 objects, [0-9]+ bytes; mapped [1-9][0-9]+ bytes"
	says $where "type [0-9]+ struct thing: live 1 objects, 16 bytes"
	says $where "type [0-9]+ large: live 1 objects, [0-9]+ bytes, acyclic"
	says $where "object 0x[0-9a-f]+ of type struct thing, 16 bytes, in a slab that is (owned|partial)"
	says $where "word 0x[0-9a-f]+: count 3, trial count [0-9]+, black, flags .*BORN.*"
	says $where "object 0x[0-9a-f]+ of type large, 1[0-9]{5} bytes, in a slab that is large"
	says $where "word 0x[0-9a-f]+: count 1, trial count [0-9]+, black, flags .*BORN.*"
	says $where "weak cell 0x[0-9a-f]+ of 0x[0-9a-f]+, marks (none|LOGGED)"
	# A boundary may be under way: then it is behind, and said to be.
	says $where "mutator 0x[0-9a-f]+: watcher \(tid [0-9]+\), running, handshakes done ([0-9]+) of (\1|[0-9]+: behind)"
	says $where "  keep frames 0, of 0 entries; poll 0x[0-9a-f]+"
	grep -n 'Traceback\|Python Exception\|No symbol' "$work/$where.out" && failed=1
done
[ "$(grep -c '^refused: ' "$work/live.out")" = 6 ] || { echo "something wrong was taken"; failed=1; }
[ $failed = 0 ] || cat "$work"/*.out
exit $failed
