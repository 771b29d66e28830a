#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# run.sh NAME FOLDER RUNS [CLANG ARGUMENT ...] [-- CLANG ARGUMENT ...]: builds the fuzz target NAME in
# FOLDER with clang, libFuzzer, AddressSanitizer and UndefinedBehaviorSanitizer from the arguments
# (what is behind -- being compiled by itself first), and lets it make up RUNS inputs, or stop after
# FUZZ_SECONDS (10). FUZZ_SEED (1) is what they come from. The corpus in
# the sources is read and not changed; what is new goes to FOLDER/NAME.corpus, and an input that
# fails to FOLDER. Ends with 77, as a test that was skipped, where there is no clang or no libFuzzer.
set -u
name=$1 folder=$2 runs=$3
shift 3
here=$(cd "$(dirname "$0")" && pwd)
target=$folder/$name.fuzz

for clang in "${FUZZ_CLANG:-clang}" clang-19 clang-16 clang-14 ''; do
	[ -n "$clang" ] && command -v "$clang" > /dev/null && break
done
if [ -z "$clang" ] || ! echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) {return 0;}' |
	"$clang" -x c - -fsanitize=fuzzer -o "$target.probe" 2> /dev/null; then
	echo "no clang with libFuzzer here: skipped"
	exit 77
fi
rm -f "$target.probe"
build()
{
	"$clang" -std=gnu11 -D_GNU_SOURCE= -O1 -g -fsanitize=fuzzer,address,undefined \
		-fno-sanitize-recover=all -fno-omit-frame-pointer "$@"
}

objects=$folder/$name.objects
rm -rf "$objects"
mkdir -p "$objects" || exit 1
linked=0
for argument; do
	[ "$argument" = -- ] && break
	linked=$((linked + 1))
done
if [ "$linked" -lt $# ]; then
	# One after another, by number: two rooms may have a file of the same name.
	(
		shift $((linked + 1))
		number=0
		for argument; do
			shift
			case $argument in
			*.c) echo "$argument" >> "$objects/sources" ;;
			*) set -- "$@" "$argument" ;;
			esac
		done
		while IFS= read -r source; do
			number=$((number + 1))
			build -c "$@" -o "$objects/$number.o" "$source" || exit 1
		done < "$objects/sources"
	) || exit 1
	for argument; do
		shift
		[ "$linked" -gt 0 ] && set -- "$@" "$argument"
		linked=$((linked - 1))
	done
	set -- "$@" "$objects"/*.o
fi
build -o "$target" "$@" || exit 1

dictionary=
[ -f "$here/$name.dict" ] && dictionary=-dict=$here/$name.dict
mkdir -p "$folder/$name.corpus" || exit 1
# shellcheck disable=SC2086 # one word or none
exec "$target" -seed="${FUZZ_SEED:-1}" -runs="$runs" -max_total_time="${FUZZ_SECONDS:-10}" \
	-timeout=10 -rss_limit_mb=512 -malloc_limit_mb=128 -max_len=4096 -print_final_stats=1 \
	-artifact_prefix="$folder/$name." $dictionary "$folder/$name.corpus" "$here/corpus/$name"
