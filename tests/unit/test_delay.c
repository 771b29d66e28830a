/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * test_delay.c: the histogram of delays, as gyre_heap_stats tells it: where its buckets end, and
 * the percentiles of known samples. No thread is attached, so nothing else records a delay.
 */
#include "support.h"

#include "heap.h"

#define CAUSE GYRE_DELAY_PRESSURE
/* Above every value whose bucket is asked for, and still inside the histogram's range. */
#define HUGE_NS (((uint64_t)1 << 44) - 1)

static int open_heap(void **state)
{
	struct gyre_heap *heap;

	expect_ok(gyre_heap_open(&heap, NULL));
	*state = heap;
	return 0;
}

static int close_heap(void **state)
{
	expect_ok(gyre_heap_close((struct gyre_heap *)*state));
	return 0;
}

static void forget(struct gyre_heap *heap)
{
	struct gyre__delays *delays = &heap->shared.delays[CAUSE];

	for (size_t i = 0; i < GYRE_DELAY_BUCKETS; i++)
		gyre__counter_set(&delays->buckets[i], 0);
	gyre__counter_set(&delays->total_ns, 0);
	gyre__counter_set(&delays->max_ns, 0);
}

static struct gyre_delays delays_of(struct gyre_heap *heap)
{
	return world_stats(heap).delays[CAUSE];
}

/* The end of the bucket of ns: the median of it and of something larger, which hides no edge. */
static uint64_t edge_of(struct gyre_heap *heap, uint64_t ns)
{
	struct gyre_delays d;

	forget(heap);
	gyre__delay_record(&heap->shared, CAUSE, ns);
	gyre__delay_record(&heap->shared, CAUSE, HUGE_NS);
	d = delays_of(heap);
	expect_equal(d.count, 2);
	expect_equal(d.max_ns, HUGE_NS);
	expect_equal(d.total_ns, ns + HUGE_NS);
	return d.p50_ns;
}

static void small_delays_are_exact(void **state)
{
	struct gyre_heap *heap = (struct gyre_heap *)*state;

	for (uint64_t ns = 0; ns < 32; ns++)
		expect_equal(edge_of(heap, ns), ns);
}

/* From edge to edge through the whole range: each is the end of its own bucket, the next value
 * begins another, and no bucket is wider than a sixteenth of where it begins. */
static void edges_are_a_sixteenth_apart(void **state)
{
	struct gyre_heap *heap = (struct gyre_heap *)*state;
	uint64_t begin = 0, buckets = 0;

	while (begin <= HUGE_NS) {
		uint64_t end = edge_of(heap, begin);

		expect(end >= begin);
		expect_equal(edge_of(heap, end), end);
		expect_equal(edge_of(heap, begin + (end - begin) / 2), end);
		expect((end + 1 - begin) * 16 <= begin || end == begin);
		begin = end + 1;
		buckets++;
	}
	expect_equal(begin, HUGE_NS + 1);
	expect_equal(buckets, GYRE_DELAY_BUCKETS);
}

static void beyond_the_range(void **state)
{
	static const uint64_t longs[] = { HUGE_NS + 1, (uint64_t)1 << 50, UINT64_MAX / 2 };
	struct gyre_heap *heap = (struct gyre_heap *)*state;

	for (size_t i = 0; i < LENGTH(longs); i++) {
		struct gyre_delays d;

		forget(heap);
		gyre__delay_record(&heap->shared, CAUSE, longs[i]);
		d = delays_of(heap);
		expect_equal(d.count, 1);
		expect_equal(d.max_ns, longs[i]);
		expect_equal(d.total_ns, longs[i]);
		expect_equal(d.p50_ns, HUGE_NS);
		expect_equal(d.p999_ns, HUGE_NS);
	}
}

static void nothing_is_zero(void **state)
{
	struct gyre_heap *heap = (struct gyre_heap *)*state;
	struct gyre_delays d;

	forget(heap);
	d = delays_of(heap);
	expect(d.count == 0 && d.total_ns == 0 && d.max_ns == 0);
	expect(d.p50_ns == 0 && d.p99_ns == 0 && d.p999_ns == 0);
}

/* One sample is every percentile, to the nanosecond, as none is above the maximum. */
static void one_sample(void **state)
{
	struct gyre_heap *heap = (struct gyre_heap *)*state;

	for (uint64_t ns = 1; ns < HUGE_NS / 3; ns = ns * 3 + 1) {
		struct gyre_delays d;

		forget(heap);
		gyre__delay_record(&heap->shared, CAUSE, ns);
		d = delays_of(heap);
		expect_equal(d.p50_ns, ns);
		expect_equal(d.p99_ns, ns);
		expect_equal(d.p999_ns, ns);
		expect_equal(d.max_ns, ns);
	}
}

/* The edge of the bucket in which the sample of this rank (the first is 1) lies, or the maximum. */
static void expect_rank(uint64_t got, uint64_t rank, uint64_t unit, uint64_t max)
{
	uint64_t exact = rank * unit;

	expect(got >= exact);
	expect(got <= exact + exact / 16);
	expect(got <= max);
}

/* unit, 2 unit, ... count unit, in an order that no percentile may depend on. */
static void known_samples(void **state)
{
	static const uint64_t counts[] = { 2, 10, 99, 100, 101, 999, 1000, 1001, 5000 };
	static const uint64_t units[] = { 1, 1000, 123457 };
	struct gyre_heap *heap = (struct gyre_heap *)*state;

	for (size_t i = 0; i < LENGTH(counts) * LENGTH(units); i++) {
		uint64_t n = counts[i / LENGTH(units)], unit = units[i % LENGTH(units)];
		struct gyre_delays d;

		forget(heap);
		/* 7919 is a prime that divides no count: every rank comes once. */
		for (uint64_t j = 0; j < n; j++)
			gyre__delay_record(&heap->shared, CAUSE, (j * 7919 % n + 1) * unit);
		d = delays_of(heap);
		expect_equal(d.count, n);
		expect_equal(d.total_ns, n * (n + 1) / 2 * unit);
		expect_equal(d.max_ns, n * unit);
		expect_rank(d.p50_ns, (n * 50 + 99) / 100, unit, n * unit);
		expect_rank(d.p99_ns, (n * 99 + 99) / 100, unit, n * unit);
		expect_rank(d.p999_ns, (n * 999 + 999) / 1000, unit, n * unit);
	}
}

static void causes_are_apart(void **state)
{
	struct gyre_heap *heap = (struct gyre_heap *)*state;
	struct gyre_stats stats;

	forget(heap);
	for (unsigned cause = 0; cause < GYRE_DELAY_COUNT; cause++)
		for (unsigned i = 0; i <= cause; i++)
			gyre__delay_record(&heap->shared, (enum gyre_delay)cause, 100 + cause);
	stats = world_stats(heap);
	for (unsigned cause = 0; cause < GYRE_DELAY_COUNT; cause++) {
		expect_equal(stats.delays[cause].count, cause + 1);
		expect_equal(stats.delays[cause].max_ns, 100 + cause);
		expect_equal(stats.delays[cause].total_ns, (cause + 1) * (100 + cause));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(nothing_is_zero, open_heap, close_heap),
		cmocka_unit_test_setup_teardown(small_delays_are_exact, open_heap, close_heap),
		cmocka_unit_test_setup_teardown(edges_are_a_sixteenth_apart, open_heap, close_heap),
		cmocka_unit_test_setup_teardown(beyond_the_range, open_heap, close_heap),
		cmocka_unit_test_setup_teardown(one_sample, open_heap, close_heap),
		cmocka_unit_test_setup_teardown(known_samples, open_heap, close_heap),
		cmocka_unit_test_setup_teardown(causes_are_apart, open_heap, close_heap),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
