#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# probes.sh LIBRARY DOCS: whether the probes in the library are those of the table in docs/probes.md,
# with as many arguments. Prints the differences and ends with 1 if there are some.
library=$1
docs=$2
work=$(mktemp -d) || exit 2
trap 'rm -rf "$work"' EXIT

# A name, and the number of its arguments: "8@%rax -4@$1" has two.
readelf -n "$library" | awk '
	/Provider: gyre$/ { ours = 1 }
	/Provider: / && !/gyre$/ { ours = 0 }
	/Name: / { name = $2 }
	/Arguments: / && ours { print name, NF - 1 }' | sort -u >"$work/built"
# The argument that ends with a list of values has commas behind a colon.
awk -F '|' '
	/^\| [a-z_]+__[a-z]+ \|/ || /^\| delay \|/ {
		gsub(/ /, "", $2)
		sub(/^ heap, kind .*full /, " heap, kind ", $3)
		sub(/: 0 dead.*$/, "", $3)
		sub(/: 0 boundary.*;/, ",", $3)
		print $2, split($3, arguments, ",")
	}' "$docs" | sort -u >"$work/told"
[ -s "$work/told" ] || { echo "no table in $docs"; exit 1; }
diff "$work/told" "$work/built"
