/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * profile_read.c: profiles: taking them, comparing two, and what is read from them. Any thread; the
 * survey of old objects on the collector, between two cycles.
 *
 * Invariant: a profile is changed only by being compared, and holds nothing of its heap.
 */
#include "profile_read.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "heap.h"
#include "mutator.h"
#include "side.h"
#include "slab.h"
#include "to_collector.h"
#include "type.h"

/* What the survey finds of the samples of one tally. */
struct old {
	uint64_t allocated, freed;
	uint64_t count;     /* of those that are old */
	uint64_t oldest_ns; /* when the first of those that live was born; UINT64_MAX: none is */
};

struct survey {
	struct gyre_heap *heap;
	uint64_t now_ns, old_ns; /* since began_ns; an age */
	struct old *tallies;
	uint32_t count;
};

static bool is_old(const struct survey *survey, const struct gyre__sample *sample)
{
	/* Of what is born meanwhile all that is known is that it is no older than 0. */
	return survey->old_ns == 0 || (survey->now_ns >= survey->old_ns &&
				       sample->born_ns <= survey->now_ns - survey->old_ns);
}

static void survey_object(struct survey *survey, const void *object)
{
	struct gyre__sample sample;
	struct old *old;

	if (!gyre__sample_of(survey->heap, object, &sample) || sample.number >= survey->count)
		return;
	old = &survey->tallies[sample.number];
	old->count += is_old(survey, &sample);
	if (sample.born_ns < old->oldest_ns)
		old->oldest_ns = sample.born_ns;
}

static bool survey_slab(struct gyre__slab *slab, void *arg)
{
	uint32_t first, cell, cells = slab->shape.cells;

	if (!gyre__has_any(gyre__locator_of(slab->base), GYRE_SPECIAL_SAMPLED))
		return true;
	for (first = 0; first < cells; first += 64) {
		if (gyre__side_row(slab, first, GYRE_SIDE_SAMPLE) == NULL)
			continue;
		for (cell = first; cell < first + 64 && cell < cells; cell++)
			survey_object(arg, gyre__cell(slab, cell));
	}
	return true;
}

static void survey_heap(struct gyre__collector *c, void *arg)
{
	struct survey *survey = arg;
	uint32_t i;

	(void)c;
	gyre__slabs_each(survey->heap, survey_slab, survey);
	/* After it: there are no fewer of them than entries. */
	for (i = 0; i < survey->count; i++) {
		const struct gyre__tally *tally = gyre__tally_at(survey->heap, i);
		struct old *old = &survey->tallies[i];

		/* Relaxed: the collector is who writes the one; the others are told of at the
		 * boundary, or come a little later. */
		old->freed = atomic_load_explicit(&tally->freed, memory_order_relaxed);
		old->allocated = atomic_load_explicit(&tally->allocated, memory_order_relaxed);
	}
}

/* The survey of the tallies that there are now; the calling thread's mutator is parked for it. */
static bool run_survey(struct gyre_heap *heap, struct survey *survey)
{
	struct gyre_mutator *m = gyre__leavings_get(&heap->leavings);
	uint32_t i;
	bool parked;

	survey->tallies = malloc((survey->count + 1) * sizeof(*survey->tallies));
	if (survey->tallies == NULL)
		return false;
	for (i = 0; i < survey->count; i++)
		survey->tallies[i] = (struct old){ .oldest_ns = UINT64_MAX };
	parked = m != NULL && gyre_park(m) == GYRE_OK;
	gyre__qsbr_park();
	gyre__collector_errand(heap, survey_heap, survey);
	gyre__qsbr_unpark();
	if (parked)
		gyre_unpark(m);
	return true;
}

static void add(struct gyre__profile_sum *sum, uint64_t samples, double weight, size_t bytes)
{
	sum->samples += samples;
	sum->objects += (double)samples * weight;
	sum->bytes += (double)samples * weight * (double)bytes;
}

static void add_sums(struct gyre__profile_sums *to, const struct gyre__profile_sums *from)
{
	const struct gyre__profile_sum *in[] = { &from->live, &from->allocated, &from->freed,
						 &from->old };
	struct gyre__profile_sum *out[] = { &to->live, &to->allocated, &to->freed, &to->old };
	size_t i;

	for (i = 0; i < sizeof(in) / sizeof(in[0]); i++) {
		out[i]->samples += in[i]->samples;
		out[i]->objects += in[i]->objects;
		out[i]->bytes += in[i]->bytes;
	}
	if (from->oldest_ns > to->oldest_ns)
		to->oldest_ns = from->oldest_ns;
}

/* What one tally adds to its line. */
static struct gyre__profile_sums sums_of(const struct gyre__tally *tally, const struct old *old,
					 uint64_t now_ns)
{
	double weight = gyre__sample_weight(tally->bytes, tally->rate);
	struct gyre__profile_sums sums = { 0 };

	add(&sums.allocated, old->allocated, weight, tally->bytes);
	add(&sums.freed, old->freed, weight, tally->bytes);
	add(&sums.live, old->allocated - old->freed, weight, tally->bytes);
	add(&sums.old, old->count, weight, tally->bytes);
	if (old->oldest_ns < now_ns)
		sums.oldest_ns = now_ns - old->oldest_ns;
	return sums;
}

static bool add_line(struct gyre__profile_place *place, const struct gyre__tally *tally,
		     const struct gyre__profile_sums *sums)
{
	struct gyre__profile_line *line = place->lines;

	while (line != NULL && line->type != tally->type)
		line = line->next;
	if (line == NULL) {
		line = calloc(1, sizeof(*line));
		if (line == NULL)
			return false;
		line->type = tally->type;
		line->next = place->lines;
		place->lines = line;
		place->types++;
		line->name = strdup(tally->type->name);
		if (line->name == NULL)
			return false;
	}
	add_sums(&line->sums, sums);
	return true;
}

static bool add_tally(struct gyre_profile *p, const struct gyre__tally *tally,
		      const struct old *old, uint64_t now_ns)
{
	struct gyre__profile_place *place = &p->places[tally->stack->index];
	struct gyre__profile_sums sums = sums_of(tally, old, now_ns);
	size_t bytes = tally->stack->depth * sizeof(void *);

	if (place->frames == NULL) {
		place->frames = malloc(bytes + 1);
		if (place->frames == NULL)
			return false;
		memcpy(place->frames, tally->stack->frames, bytes);
		place->frames_count = tally->stack->depth;
	}
	add_sums(&place->sums, &sums);
	add_sums(&p->sums, &sums);
	return add_line(place, tally, &sums);
}

/* The types of a site by their live bytes: there are few. */
static void sort_lines(struct gyre__profile_place *place)
{
	struct gyre__profile_line *sorted = NULL, *line, **at;

	while ((line = place->lines) != NULL) {
		place->lines = line->next;
		for (at = &sorted; *at != NULL && (*at)->sums.live.bytes >= line->sums.live.bytes;)
			at = &(*at)->next;
		line->next = *at;
		*at = line;
	}
	place->lines = sorted;
}

static int compare_places(const void *a, const void *b)
{
	const struct gyre__profile_place *one = *(struct gyre__profile_place *const *)a;
	const struct gyre__profile_place *other = *(struct gyre__profile_place *const *)b;

	if (one->score != other->score)
		return one->score > other->score ? -1 : 1;
	if (one->sums.live.bytes != other->sums.live.bytes)
		return one->sums.live.bytes > other->sums.live.bytes ? -1 : 1;
	return one->site < other->site ? -1 : 1;
}

static void rank(struct gyre_profile *p)
{
	qsort(p->order, p->count, sizeof(p->order[0]), compare_places);
}

static void score_by_age(struct gyre_profile *p)
{
	uint32_t i;

	for (i = 0; i < p->count; i++)
		if (p->sums.old.bytes > 0)
			p->places[i].score = p->places[i].sums.old.bytes / p->sums.old.bytes;
}

static struct gyre_profile *profile_make(uint32_t count)
{
	struct gyre_profile *p = calloc(1, sizeof(*p) + count * sizeof(p->places[0]));
	uint32_t i;

	if (p == NULL)
		return NULL;
	p->order = malloc((count + 1) * sizeof(p->order[0]));
	if (p->order == NULL) {
		free(p);
		return NULL;
	}
	p->count = count;
	for (i = 0; i < count; i++) {
		p->places[i].site = i;
		p->order[i] = &p->places[i];
	}
	return p;
}

/* An empty profile with what there is now: sites, and the tallies that are to be looked at. */
static enum gyre_status begin(struct gyre_heap *heap, struct survey *survey,
			      struct gyre_profile **made)
{
	struct gyre__profile_tables *tables;
	uint32_t sites = 0;
	uint64_t rate = 0;

	gyre__lock_take(&heap->profile.lock);
	tables = heap->profile.tables;
	if (tables != NULL) {
		survey->count = tables->all.count;
		sites = tables->sites.count;
		rate = tables->rate;
	}
	gyre__lock_drop(&heap->profile.lock);
	if (tables == NULL)
		return GYRE_INVALID;
	*made = profile_make(sites);
	if (*made == NULL)
		return GYRE_NO_MEMORY;
	(*made)->heap = heap;
	(*made)->began_ns = tables->began_ns;
	(*made)->rate = rate;
	(*made)->lost = atomic_load_explicit(&heap->profile.lost, memory_order_relaxed);
	return GYRE_OK;
}

static bool fill(struct gyre_profile *p, const struct survey *survey)
{
	uint32_t i;

	for (i = 0; i < survey->count; i++)
		if (!add_tally(p, gyre__tally_at(survey->heap, i), &survey->tallies[i],
			       survey->now_ns))
			return false;
	return true;
}

enum gyre_status gyre_profile_take(struct gyre_heap *heap, uint64_t old_ns,
				   struct gyre_profile **profile)
{
	struct survey survey = { .heap = heap, .old_ns = old_ns };
	enum gyre_status status;
	struct gyre_profile *p;
	uint32_t i;
	bool done;

	if (heap == NULL || profile == NULL)
		return GYRE_INVALID;
	if (gyre__frozen(heap))
		return GYRE_FROZEN;
	status = begin(heap, &survey, &p);
	if (status != GYRE_OK)
		return status;
	p->old_ns = old_ns;
	p->taken_ns = survey.now_ns = gyre__now_ns() - p->began_ns;
	done = run_survey(heap, &survey) && fill(p, &survey);
	free(survey.tallies);
	if (!done) {
		gyre_profile_free(p);
		return GYRE_NO_MEMORY;
	}
	for (i = 0; i < p->count; i++)
		sort_lines(&p->places[i]);
	score_by_age(p);
	rank(p);
	*profile = p;
	return GYRE_OK;
}

void gyre_profile_free(struct gyre_profile *p)
{
	uint32_t i;

	if (p == NULL)
		return;
	for (i = 0; i < p->count; i++) {
		struct gyre__profile_line *line;

		while ((line = p->places[i].lines) != NULL) {
			p->places[i].lines = line->next;
			free(line->name);
			free(line);
		}
		free(p->places[i].frames);
	}
	free(p->order);
	free(p);
}

/* The share of the growth of all that grew, times the share of what lives that is old: what dies
 * young has a part of both that is always there, and always another one. */
static void score_by_growth(struct gyre_profile *p)
{
	double growth = 0;
	uint32_t i;

	for (i = 0; i < p->count; i++)
		if (p->places[i].grown_bytes > 0)
			growth += p->places[i].grown_bytes;
	for (i = 0; i < p->count; i++) {
		struct gyre__profile_place *place = &p->places[i];

		place->score = 0;
		if (place->grown_bytes > 0 && place->sums.live.bytes > 0)
			place->score = place->grown_bytes / growth * place->sums.old.bytes /
				       place->sums.live.bytes;
	}
}

enum gyre_status gyre_profile_compare(const struct gyre_profile *before, struct gyre_profile *after)
{
	uint32_t i;

	if (before == NULL || after == NULL || before->heap != after->heap ||
	    before->began_ns != after->began_ns || before->taken_ns > after->taken_ns)
		return GYRE_INVALID;
	for (i = 0; i < after->count; i++) {
		struct gyre__profile_place *place = &after->places[i];
		struct gyre__profile_sum was = { 0 };

		if (i < before->count)
			was = before->places[i].sums.live;
		place->grown_objects = place->sums.live.objects - was.objects;
		place->grown_bytes = place->sums.live.bytes - was.bytes;
	}
	score_by_growth(after);
	rank(after);
	return GYRE_OK;
}

static struct gyre_profile_amount amount(const struct gyre__profile_sum *sum)
{
	return (struct gyre_profile_amount){ .samples = sum->samples,
					     .objects = (uint64_t)(sum->objects + 0.5),
					     .bytes = (uint64_t)(sum->bytes + 0.5) };
}

enum gyre_status gyre_profile_totals(const struct gyre_profile *p,
				     struct gyre_profile_totals *totals)
{
	if (p == NULL || totals == NULL || totals->size != sizeof(*totals))
		return GYRE_INVALID;
	totals->rate_bytes = p->rate;
	totals->old_ns = p->old_ns;
	totals->lost = p->lost;
	totals->sites = p->count;
	totals->live = amount(&p->sums.live);
	totals->allocated = amount(&p->sums.allocated);
	totals->freed = amount(&p->sums.freed);
	totals->old = amount(&p->sums.old);
	return GYRE_OK;
}

enum gyre_status gyre_profile_site(const struct gyre_profile *p, uint32_t index,
				   struct gyre_profile_site *site)
{
	const struct gyre__profile_place *place;

	if (p == NULL || site == NULL || site->size != sizeof(*site) || index >= p->count)
		return GYRE_INVALID;
	place = p->order[index];
	site->site = place->site;
	site->types = place->types;
	site->frames_count = place->frames_count;
	site->frames = place->frames;
	site->live = amount(&place->sums.live);
	site->allocated = amount(&place->sums.allocated);
	site->freed = amount(&place->sums.freed);
	site->old = amount(&place->sums.old);
	site->oldest_ns = place->sums.oldest_ns;
	site->grown_objects = llround(place->grown_objects);
	site->grown_bytes = llround(place->grown_bytes);
	site->score = place->score;
	return GYRE_OK;
}

enum gyre_status gyre_profile_type(const struct gyre_profile *p, uint32_t index,
				   uint32_t type_index, struct gyre_profile_type *type)
{
	const struct gyre__profile_line *line;

	if (p == NULL || type == NULL || type->size != sizeof(*type) || index >= p->count)
		return GYRE_INVALID;
	for (line = p->order[index]->lines; line != NULL && type_index > 0; line = line->next)
		type_index--;
	if (line == NULL)
		return GYRE_INVALID;
	type->name = line->name;
	type->live = amount(&line->sums.live);
	type->allocated = amount(&line->sums.allocated);
	type->freed = amount(&line->sums.freed);
	type->old = amount(&line->sums.old);
	type->oldest_ns = line->sums.oldest_ns;
	return GYRE_OK;
}

size_t gyre_profile_name(const struct gyre_profile *p, uint32_t index, char *text, size_t bytes)
{
	if (p == NULL || index >= p->count)
		return 0;
	return gyre__stack_name(p->order[index]->frames, p->order[index]->frames_count, text,
				bytes);
}
