#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
#
# tidy.sh [ROOT]: the rules of the sources that a machine can check, for all .c and .h files below
# ROOT (default: two folders up). Prints one line for each breach and ends with 1 if there was one.
#
#   length    no line over 100 columns (a tab counts as 8), no file over 600 lines
#   function  no function body over 70 lines
#   blank     no blanks at the end of a line, no blanks where a tab belongs
#   spdx      the first line names the licence
#   purpose   the second line begins the paragraph that says what the file is for
#   words     ck_ and urcu/rcu_ only in runtime/platform/ and tests/; no volatile, no stand-alone
#             fence, no usleep in runtime/, collector/, collections/, inspect/, serve/, include/,
#             gyre-heap/, stress/
#   include   runtime/ includes no header of collector/, collections/, inspect/ or serve/, none of
#             these one of another, but for the door collector/capture.h of inspect/; gyre-heap/,
#             stress/, examples/, tests/api/ and
#             tests/graphs/ include of gyre only <gyre/...>
#   unfinished  no TODO, FIXME or XXX
#
# Comments and strings are taken out before words are looked for. test_tidy.sh breaks each rule once.

root=${1:-$(cd "$(dirname "$0")/../.." && pwd)}
cd "$root" || exit 2

files=$(find . -name .git -prune -o -name 'build*' -prune -o -path ./subprojects -prune \
	-o -type f \( -name '*.c' -o -name '*.h' \) -print | sed 's,^\./,,' | sort)
if [ -z "$files" ]; then
	echo "tidy: no sources below $root" >&2
	exit 2
fi

# shellcheck disable=SC2086 # a list of names without blanks
awk '
function breach(rule, what)
{
	printf "%s:%d: %s: %s\n", FILENAME, FNR, rule, what
	breaches++
}

# The line without comments and without what stands in quotes. in_comment lasts over lines.
function code(line,    out, c, two, quote)
{
	out = ""
	quote = ""
	while (line != "") {
		c = substr(line, 1, 1)
		two = substr(line, 1, 2)
		if (in_comment) {
			if (two == "*/") {
				in_comment = 0
				line = substr(line, 2)
			}
		} else if (quote != "") {
			if (c == "\\")
				line = substr(line, 2)
			else if (c == quote)
				quote = ""
		} else if (two == "/*") {
			in_comment = 1
			line = substr(line, 2)
		} else if (two == "//") {
			break
		} else if (c == "\"" || c == "\047") {
			quote = c
		} else {
			out = out c
		}
		line = substr(line, 2)
	}
	return out
}

function columns(line,    n, i)
{
	n = 0
	for (i = 1; i <= length(line); i++)
		n += substr(line, i, 1) == "\t" ? 8 - n % 8 : 1
	return n
}

function inside(folder)
{
	return index(FILENAME, folder "/") == 1
}

FNR == 1 {
	in_comment = 0
	body = 0
	if ($0 != "/* SPDX-License-Identifier: BSD-2-Clause */")
		breach("spdx", "the first line is not the licence")
}
FNR == 2 && !/^\/\*/ { breach("purpose", "the second line does not begin the paragraph") }
FNR == 601 { breach("length", "the file is over 600 lines") }
columns($0) > 100 { breach("length", columns($0) " columns") }
/[ \t]$/ { breach("blank", "blanks at the end of the line") }
/^ +[^ *\\]/ || /^\t* {8}/ { breach("blank", "blanks where a tab belongs") }
/TODO|FIXME|XXX/ { breach("unfinished", "a note of something to do") }

# A body begins with a brace in the first column, or behind a heading in the first column.
{ raw = $0; text = code($0) }
!body && raw ~ /^[{]/ { body = FNR }
body && raw ~ /^[}]/ {
	if (FNR - body - 1 > 70)
		breach("function", "a body of " FNR - body - 1 " lines")
	body = 0
}

!inside("runtime/platform") && !inside("tests") {
	if (text ~ /(^|[^A-Za-z0-9_])ck_/)
		breach("words", "Concurrency Kit outside runtime/platform/")
	if (text ~ /urcu|(^|[^A-Za-z0-9_])rcu_/)
		breach("words", "liburcu outside runtime/platform/")
}
inside("runtime") || inside("collector") || inside("collections") || inside("inspect") ||
inside("serve") || inside("include") || inside("gyre-heap") || inside("stress") {
	if (text ~ /(^|[^A-Za-z0-9_])volatile([^A-Za-z0-9_]|$)/)
		breach("words", "volatile")
	if (text ~ /atomic_(thread|signal)_fence|__sync_synchronize/)
		breach("words", "a stand-alone fence")
	if (text ~ /(^|[^A-Za-z0-9_])usleep[ \t]*\(/)
		breach("words", "usleep")
}

# Include lines are looked at as they are, because the name of a header may stand in quotes.
raw ~ /^[ \t]*#[ \t]*include/ {
	name = raw
	sub(/^[ \t]*#[ \t]*include[ \t]*/, "", name)
	sub(/^["<]/, "", name)
	sub(/[">].*$/, "", name)
	if (inside("runtime") && name ~ /(^|\/)collector/)
		breach("include", "a header of collector/ in runtime/")
	if (inside("collections") && name ~ /(^|\/)collector\//)
		breach("include", "a header of collector/ in collections/")
	if (inside("inspect") && name ~ /(^|\/)collector\// && name != "collector/capture.h")
		breach("include", "a header of collector/ in inspect/")
	if ((inside("runtime") || inside("collector") || inside("collections")) &&
	    name ~ /(^|\/)inspect\//)
		breach("include", "a header of inspect/ below it")
	if ((inside("runtime") || inside("collector")) && name ~ /(^|\/)collections\//)
		breach("include", "a header of collections/ below it")
	if (inside("serve") && name ~ /(^|\/)(collector|collections|inspect)\//)
		breach("include", "a header of collector/, collections/ or inspect/ in serve/")
	if (inside("inspect") && name ~ /(^|\/)collections\//)
		breach("include", "a header of collections/ in inspect/")
	if ((inside("runtime") || inside("collector") || inside("collections") ||
	     inside("inspect")) && name ~ /(^|\/)serve\//)
		breach("include", "a header of serve/ below it")
	if (name ~ /^(ck_|urcu)/ && !inside("runtime/platform") && !inside("tests"))
		breach("words", "<" name "> outside runtime/platform/")
	if ((inside("gyre-heap") || inside("stress") || inside("examples") || inside("tests/api") ||
	     inside("tests/graphs")) && name ~ /(^|\/)(runtime|collector|platform)\//)
		breach("include", "an internal header")
}

END { exit breaches > 0 }
' $files
