/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lesson_10_counting.c: the same program three times, with counts by hand, with gyre, and with
 * neither.
 *
 * A desk takes orders; each has an invoice that refers back to it, and the last few stay on the
 * desk. Counted by hand it is right because of a rule that no compiler knows: an invoice's pointer
 * to its order is not counted. Collected, it has no such rule and no line that frees. With neither
 * it keeps all it has ever made. Each says what it held at most, and what time it took.
 */
#include <gyre/gyre.h>

#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ORDERS 100000
#define DESK 64 /* orders that stay */

struct counted { /* an order or an invoice */
	struct counted *invoice;
	struct counted *order; /* not counted: it would hold the order for ever */
	unsigned long count;
};
/* The same for gyre. */
struct paper {
	gyre_ref invoice, order;
};
struct desk {
	gyre_ref orders[DESK];
};
static const struct gyre_type_desc paper_desc =
	GYRE_TYPE(struct paper,
		  GYRE_REFS(GYRE_REF(struct paper, invoice), GYRE_REF(struct paper, order)));
static const struct gyre_type_desc desk_desc =
	GYRE_TYPE(struct desk, GYRE_REFS(GYRE_REF(struct desk, orders)));

static size_t held, held_most; /* bytes of malloc */
static struct counted *arena;  /* with neither: what is taken from it is never given back */

static struct counted *take(void)
{
	struct counted *p = arena ? arena + held / sizeof(*p) : malloc(sizeof(*p));

	if (!p)
		exit(1);
	held += arena ? sizeof(*p) : malloc_usable_size(p);
	held_most = held > held_most ? held : held_most;
	*p = (struct counted){ .count = 1 };
	return p;
}

static void let_go(struct counted *order)
{
	if (arena || !order || --order->count)
		return;
	let_go(order->invoice); /* an order's; an invoice has none */
	held -= malloc_usable_size(order);
	free(order);
}

static void count(void)
{
	struct counted *desk[DESK] = { NULL };
	int i;

	for (i = 0; i < ORDERS; i++) {
		struct counted *order = take(), *invoice = take();

		order->invoice = invoice;
		invoice->order = order;
		let_go(desk[i % DESK]);
		desk[i % DESK] = order;
	}
	for (i = 0; i < DESK; i++)
		let_go(desk[i]);
}

/* An object; at the limit of the heap, once more when the garbage is gone: a safe point. */
static void *make(struct gyre_mutator *m, const struct gyre_type *type)
{
	void *object = gyre_new(m, type);

	return object || gyre_collect(m, NULL) ? object : gyre_new(m, type);
}

static int collect(struct gyre_heap *heap, struct gyre_mutator *m)
{
	const struct gyre_type *desks, *papers;
	struct desk *desk = NULL;
	struct paper *order = NULL, *invoice;
	int i;

	GYRE_KEEP(m, desk, order);
	if (gyre_type_register(heap, &desk_desc, &desks) ||
	    gyre_type_register(heap, &paper_desc, &papers) || !(desk = make(m, desks)))
		return 1;
	for (i = 0; i < ORDERS; i++) {
		gyre_safepoint(m);
		if (!(order = make(m, papers)) || !(invoice = make(m, papers)) ||
		    gyre_init(m, &order->invoice, invoice) ||
		    gyre_init(m, &invoice->order, order) ||
		    gyre_store(m, &desk->orders[i % DESK], order))
			return 1;
	}
	return 0;
}

static void print(const char *how, size_t most, size_t left)
{
	static clock_t began; /* processor time, of all threads */

	printf("%s: %zu KiB at most, %zu left, %.1f ms\n", how, most / 1024, left,
	       (double)(clock() - began) * 1e3 / CLOCKS_PER_SEC);
	began = clock();
}

int main(void)
{
	struct gyre_stats stats = { .size = sizeof(stats) };
	struct gyre_options options;
	struct gyre_heap *heap;
	struct gyre_mutator *m;
	size_t by_hand;

	count();
	by_hand = held_most;
	print("by hand", by_hand, held);
	gyre_options_init(&options);
	options.heap_limit = (size_t)2 << 20;
	if (gyre_heap_open(&heap, &options) || gyre_attach(heap, 0, &m) || collect(heap, m) ||
	    gyre_collect(m, NULL) || gyre_heap_stats(heap, &stats) || gyre_detach(m) ||
	    gyre_heap_close(heap))
		return 1;
	print("gyre", stats.bytes_mapped_max, stats.bytes_live);

	held = held_most = 0;
	if (!(arena = malloc(2 * ORDERS * sizeof(*arena))))
		return 1;
	count();
	print("neither", held_most, held);
	printf("of that, by hand at most a tenth: %s; gyre at most half: %s\n",
	       by_hand <= held / 10 ? "yes" : "no",
	       stats.bytes_mapped_max <= held / 2 ? "yes" : "no");
	free(arena);
	return 0;
}
