/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * server_park.c: four worker threads that spend most of their life in a blocking read and park
 * round it, so that the collector never waits for them: the main thread collects while all of them
 * hang in read(2). A finished job goes into a shared table and pushes an older one out, a cycle of
 * the job and its steps that is garbage from then on.
 */
#include <gyre/gyre.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#define WORKERS 4
#define JOBS 2000
#define KEYS 16
#define STEPS 8

struct table {
	gyre_ref jobs[KEYS];
};
struct job {
	gyre_ref first;
};
struct step {
	gyre_ref job, next;
};

static const struct gyre_type_desc table_desc =
	GYRE_TYPE(struct table, GYRE_REFS(GYRE_REF(struct table, jobs)));
static const struct gyre_type_desc job_desc =
	GYRE_TYPE(struct job, GYRE_REFS(GYRE_REF(struct job, first)));
static const struct gyre_type_desc step_desc =
	GYRE_TYPE(struct step, GYRE_REFS(GYRE_REF(struct step, job), GYRE_REF(struct step, next)));

static struct gyre_heap *heap;
static const struct gyre_type *table_type, *job_type, *step_type;
static struct gyre_root results;
static int requests[2], answers[2]; /* pipes */

/* A read of one number, during which boundaries do not wait for this thread. 1: there was one. */
static int read_parked(struct gyre_mutator *m, int fd, uint32_t *number)
{
	ssize_t got = gyre_park(m) ? 0 : read(fd, number, sizeof(*number));

	return gyre_unpark(m) == GYRE_OK && got == (ssize_t)sizeof(*number);
}

static int serve(struct gyre_mutator *m, uint32_t number)
{
	struct table *table = gyre_load(&results.slot);
	struct job *job = gyre_new(m, job_type);
	int i;

	for (i = 0; job && i < STEPS; i++) {
		struct step *step = gyre_new(m, step_type);

		if (!step || gyre_init(m, &step->job, job) ||
		    gyre_init(m, &step->next, gyre_load(&job->first)) ||
		    gyre_store(m, &job->first, step))
			return 1;
	}
	return !job || gyre_store(m, &table->jobs[number % KEYS], job) ||
	       write(answers[1], &number, sizeof(number)) != (ssize_t)sizeof(number);
}

static void *work(void *arg)
{
	struct gyre_mutator *m;
	uint32_t number;
	int failed = 0;

	if (gyre_attach(heap, 0, &m))
		return arg;
	while (!failed && read_parked(m, requests[0], &number))
		failed = serve(m, number);
	return gyre_detach(m) || failed ? arg : NULL;
}

/* Hands out all jobs, waits for all answers, and collects while every worker waits for more. */
static int run(struct gyre_mutator *m)
{
	uint32_t i, answer, sum = 0;

	for (i = 0; i < JOBS; i++)
		if (write(requests[1], &i, sizeof(i)) != (ssize_t)sizeof(i))
			return 1;
	for (i = 0; i < JOBS; i++) {
		if (!read_parked(m, answers[0], &answer))
			return 1;
		sum += answer;
	}
	if (gyre_collect(m, NULL)) /* returns although nobody else reaches a safe point */
		return 1;
	printf("collected while %d threads block; answers sum to %u\n", WORKERS, sum);
	return 0;
}

int main(void)
{
	struct gyre_stats stats = { .size = sizeof(stats) };
	pthread_t threads[WORKERS];
	struct gyre_mutator *m;
	void *result;
	int i, failed;

	if (pipe(requests) || pipe(answers) || gyre_heap_open(&heap, NULL) ||
	    gyre_attach(heap, 0, &m) || gyre_type_register(heap, &table_desc, &table_type) ||
	    gyre_type_register(heap, &job_desc, &job_type) ||
	    gyre_type_register(heap, &step_desc, &step_type) ||
	    gyre_root_init(m, &results, gyre_new(m, table_type)) || !gyre_load(&results.slot))
		return 1;
	for (i = 0; i < WORKERS; i++)
		if (pthread_create(&threads[i], NULL, work, &results))
			return 1;
	failed = run(m);
	close(requests[1]); /* the workers' reads end */
	failed |= gyre_park(m);
	for (i = 0; i < WORKERS; i++)
		failed |= pthread_join(threads[i], &result) || result;
	if (failed || gyre_unpark(m) || gyre_collect(m, NULL) || gyre_heap_stats(heap, &stats))
		return 1;
	printf("%d objects in the table\n", (int)stats.objects_live);
	return gyre_root_drop(m, &results) || gyre_detach(m) || gyre_heap_close(heap);
}
