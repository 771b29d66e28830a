/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * tag.h: the tags of the engine tagged, as both its halves know them. A slot's tag is 0 (clean),
 * the tag of an epoch, or OUTSIDE, for life, in the slot of a root.
 *
 * Three tags in turn are enough: while epoch e is open, slots are clean, or have the tag of e, of
 * e - 1 (until that is processed), or of e + 1 (in the window at its end). The tag of e - 2, which
 * is that of e + 1, was taken from every slot before e began.
 */
#ifndef GYRE_TAG_H
#define GYRE_TAG_H

#include <gyre/slot.h>

#define GYRE_TAG_OUTSIDE ((uintptr_t)4)
#define GYRE_TAGGED_HANDSHAKES 3u

/* In the slot of an entry: it was not clean when the entry was made, so it had the tag of the epoch
 * before, whose processing may ask for what the entry says. */
#define GYRE_ENTRY_EARLY ((uintptr_t)1)

static inline uintptr_t gyre__tag(uint64_t epoch)
{
	return 1 + epoch % 3;
}

static inline uintptr_t gyre__next_tag(uintptr_t tag)
{
	return tag == 3 ? 1 : tag + 1;
}

#endif
