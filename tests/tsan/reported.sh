#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# reported.sh race|clean PROGRAM MODE [RUNS]: runs PROGRAM MODE under ThreadSanitizer RUNS times (default
# 25). race: each run must end with a report of a data race on the payload. clean: none may report
# anything. A run that ends in any other way fails the test in both cases.

want=$1
program=$2
case $program in
*/*) ;;
*) program=./$program ;;
esac
mode=$3
runs=${4:-25}
log=$(mktemp) || exit 2
trap 'rm -f "$log"' EXIT

fail()
{
	echo "$mode, run $run of $runs: $1" >&2
	cat "$log" >&2
	exit 1
}

# The options of the caller would change what a report looks like and how the program ends.
TSAN_OPTIONS=exitcode=66:halt_on_error=0:report_bugs=1
export TSAN_OPTIONS

run=0
while [ "$run" -lt "$runs" ]; do
	run=$((run + 1))
	"$program" "$mode" >"$log" 2>&1
	status=$?
	case $want in
	race)
		[ "$status" -eq 66 ] || fail "ended with $status, no race was reported"
		grep -q 'WARNING: ThreadSanitizer: data race' "$log" ||
			fail "reported something, but no data race"
		grep -q 'payload_' "$log" || fail "reported a race, but not on the payload"
		;;
	clean)
		[ "$status" -eq 0 ] || fail "ended with $status"
		[ -s "$log" ] && fail "said something"
		;;
	*)
		echo "reported.sh: race or clean, not '$want'" >&2
		exit 2
		;;
	esac
done
echo "$mode: $runs of $runs as wanted ($want)"
