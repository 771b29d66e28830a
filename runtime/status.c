/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * status.c: names and texts of statuses, and the version. Any thread, no state.
 */
#include <gyre/gyre.h>

const char *gyre_status_text(enum gyre_status status)
{
	switch (status) {
#define TEXT(name, number, text)                                                                   \
	case name:                                                                                 \
		return text;
		GYRE_STATUSES(TEXT)
#undef TEXT
	}
	return "not a status of gyre";
}

const char *gyre_status_name(enum gyre_status status)
{
	switch (status) {
#define NAME(name, number, text)                                                                   \
	case name:                                                                                 \
		return #name;
		GYRE_STATUSES(NAME)
#undef NAME
	}
	return "unknown";
}

#define SPELL(x) SPELL2(x)
#define SPELL2(x) #x

const char *gyre_version(void)
{
	return SPELL(GYRE_VERSION_MAJOR) "." SPELL(GYRE_VERSION_MINOR) "." SPELL(
		GYRE_VERSION_PATCH);
}
