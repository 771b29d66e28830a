/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * engine.c: the two engines, put together from their halves in runtime/ and collector/. No code.
 */
#include "engine.h"

#include "collector.h"
#include "tag.h"

const struct gyre__engine gyre__recycler = {
	.name = "recycler",
	.handshakes = 1,
	.outside = 0,
	.exchange = gyre__recycler_exchange,
	.put = gyre__recycler_put,
	.compare_exchange = gyre__recycler_compare_exchange,
	.count_once = gyre__recycler_count_once,
	.logs_loads = true,
	.needs = gyre__recycler_needs,
	.enter = gyre__recycler_enter,
	.handshake = gyre__recycler_handshake,
	.apply = gyre__recycler_apply,
	.meet = gyre__recycler_meet,
	.coalesces = false,
	.judges_at_once = false,
};

const struct gyre__engine gyre__tagged = {
	.name = "tagged",
	.handshakes = GYRE_TAGGED_HANDSHAKES,
	.outside = GYRE_TAG_OUTSIDE,
	.exchange = gyre__tagged_exchange,
	.put = gyre__tagged_put,
	.compare_exchange = gyre__tagged_compare_exchange,
	.count_once = gyre__tagged_count_once,
	.logs_loads = false,
	.needs = gyre__tagged_needs,
	.enter = gyre__tagged_enter,
	.handshake = gyre__tagged_handshake,
	.apply = gyre__tagged_apply,
	.meet = gyre__tagged_meet,
	.coalesces = true,
	.judges_at_once = true,
};
