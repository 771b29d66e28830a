/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * latency.c: how long operations took. Each is kept, as many as there is room for; the thread that
 * does them adds, the main thread reports when it has ended.
 *
 * Latency is counted from when an operation was due, so a stop delays all that it holds up (open
 * loop). The curve of minimum mutator utilisation is that of the thread: an operation that lasted
 * longer than twice the median was held up for what is beyond the median; the utilisation of a
 * window is the part of it that was not held up. Source: Cheng, Blelloch, "A Parallel, Real-Time
 * Garbage Collector", PLDI 2001, section 1.
 */
#include "worker.h"

#define ROOM ((size_t)1 << 22)

struct operation {
	uint64_t begun;
	uint32_t late_ns;  /* from due to begun; at most 4 s */
	uint32_t lasted_ns;
};

struct bench_latency {
	size_t count;
	struct operation *operations; /* made with the first */
	bool full;
};

struct bench_latency *bench_latency_new(void)
{
	return calloc(1, sizeof(struct bench_latency));
}

void bench_latency_free(struct bench_latency *latency)
{
	free(latency->operations);
	free(latency);
}

static uint32_t span(uint64_t from, uint64_t to)
{
	uint64_t ns = to > from ? to - from : 0;

	return ns < UINT32_MAX ? (uint32_t)ns : UINT32_MAX;
}

void bench_latency_add(struct bench_latency *latency, uint64_t due, uint64_t begun, uint64_t ended)
{
	if (latency == NULL)
		return;
	if (latency->operations == NULL)
		latency->operations = malloc(ROOM * sizeof(struct operation));
	if (latency->operations == NULL || latency->count == ROOM) {
		latency->full = true;
		return;
	}
	latency->operations[latency->count++] =
		(struct operation){ begun, span(due, begun), span(begun, ended) };
}

static int in_order(const void *left, const void *right)
{
	uint64_t a = *(const uint64_t *)left, b = *(const uint64_t *)right;

	return (a > b) - (a < b);
}

static double at(const uint64_t *sorted, size_t count, double part)
{
	size_t index = (size_t)(part * (double)count);

	return (double)sorted[index < count ? index : count - 1];
}

static void report_percentiles(const uint64_t *sorted, size_t count)
{
	double sum = 0;

	for (size_t i = 0; i < count; i++)
		sum += (double)sorted[i];
	bench_print("lat_count", (double)count);
	bench_print("lat_mean_us", sum / (double)count / 1e3);
	bench_print("lat_p50_us", at(sorted, count, 0.5) / 1e3);
	bench_print("lat_p90_us", at(sorted, count, 0.9) / 1e3);
	bench_print("lat_p99_us", at(sorted, count, 0.99) / 1e3);
	bench_print("lat_p99.9_us", at(sorted, count, 0.999) / 1e3);
	bench_print("lat_p99.99_us", at(sorted, count, 0.9999) / 1e3);
	bench_print("lat_max_us", (double)sorted[count - 1] / 1e3);
}

/* Time that is lost in [from, from + window), given the pauses from the first that may touch it. */
static uint64_t lost(const struct bench_latency *latency, size_t first, uint64_t from,
		     uint64_t window, uint32_t median)
{
	uint64_t sum = 0, end = from + window;

	for (size_t i = first; i < latency->count; i++) {
		const struct operation *o = &latency->operations[i];
		uint64_t begin = o->begun + median, over = o->begun + o->lasted_ns;

		if (o->begun >= end)
			break;
		if (o->lasted_ns <= 2 * median)
			continue;
		begin = begin > from ? begin : from;
		over = over < end ? over : end;
		sum += over > begin ? over - begin : 0;
	}
	return sum;
}

/* The worst window begins with a pause or ends with one. */
static double utilisation(const struct bench_latency *latency, uint64_t window, uint32_t median)
{
	uint64_t worst = 0;
	size_t first = 0;

	for (size_t i = 0; i < latency->count; i++) {
		const struct operation *o = &latency->operations[i];
		uint64_t over = o->begun + o->lasted_ns, sum;

		if (o->lasted_ns <= 2 * median)
			continue;
		while (latency->operations[first].begun + latency->operations[first].lasted_ns +
			       window < over)
			first++;
		sum = lost(latency, first, over > window ? over - window : 0, window, median);
		worst = sum > worst ? sum : worst;
		sum = lost(latency, i, o->begun + median, window, median);
		worst = sum > worst ? sum : worst;
	}
	return 1 - (double)worst / (double)window;
}

void bench_latency_report(const struct bench_latency *latency)
{
	static const struct {
		const char *name;
		uint64_t ns;
	} windows[] = { { "mmu_100us", 100000 },
			{ "mmu_1ms", 1000000 },
			{ "mmu_10ms", 10000000 },
			{ "mmu_100ms", 100000000 },
			{ "mmu_1s", 1000000000 } };
	size_t count = latency->count;
	uint64_t *sorted = count > 0 ? malloc(count * sizeof(*sorted)) : NULL;

	if (sorted == NULL)
		return;
	for (size_t i = 0; i < count; i++)
		sorted[i] = (uint64_t)latency->operations[i].late_ns +
			    latency->operations[i].lasted_ns;
	qsort(sorted, count, sizeof(*sorted), in_order);
	report_percentiles(sorted, count);
	for (size_t i = 0; i < count; i++)
		sorted[i] = latency->operations[i].lasted_ns;
	qsort(sorted, count, sizeof(*sorted), in_order);
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++)
		bench_print(windows[i].name,
			    utilisation(latency, windows[i].ns, (uint32_t)sorted[count / 2]));
	if (latency->full)
		bench_print("lat_not_kept", 1);
	free(sorted);
}
