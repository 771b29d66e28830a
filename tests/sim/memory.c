/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * memory.c: memory for what is simulated, in the place of runtime/platform/memory.c and of malloc.
 * Runs on the coroutine that asks; the check at the end of a schedule on the driver.
 *
 * Here it is refused, too: while the scenario starves (sim_starve), by number or by chance, as the
 * plan has it.
 *
 * Invariants: what the library has taken in a schedule is counted and must be given back by its
 * end; a block that was freed is filled and kept until then, and must be as it was filled. An arena
 * stays mapped for the next schedule, and is all zero when it is handed out, as mmap would have it;
 * to know which pages to clear, this file looks into the arena's tables.
 */
#include "core.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "platform/memory.h"
#include "slab.h"

#define FRESH 0xa5
#define FREED 0xdb
#define ARENAS 8

/* In front of each block. */
struct block {
	struct block *next; /* of the freed ones */
	size_t bytes;
	bool is_freed;
	_Alignas(64) unsigned char content[];
};

static struct {
	struct block *freed;
	size_t live; /* blocks */
	char *arenas[ARENAS]; /* in use */
	char *spare[ARENAS];
	unsigned arenas_count, spare_count;
} memory;

void sim_starve(bool on)
{
	sim.starves = on;
}

static bool refusal_comes(const struct sim_plan *plan)
{
	/* Less than 0 is a large number. */
	if (sim.asked - plan->refuse_at < plan->refuse_run)
		return true;
	return plan->refuse_bits > 0 && sim_chance(1u << plan->refuse_bits);
}

bool sim_refuse(const struct gyre__site *call)
{
	if (!sim.starves)
		return false;
	sim.asked++;
	if (!refusal_comes(&sim.plan))
		return false;
	sim_note(call, NULL);
	sim.refused++;
	sim.current->refused++;
	return true;
}

static struct block *block_of(void *content)
{
	return (struct block *)((char *)content - offsetof(struct block, content));
}

static void *take(size_t bytes, int fill)
{
	size_t all = (sizeof(struct block) + bytes + 63) / 64 * 64;
	struct block *block = aligned_alloc(64, all);

	if (block == NULL) {
		perror("gyre-sim: memory");
		exit(2);
	}
	block->bytes = bytes;
	block->is_freed = false;
	memset(block->content, fill, bytes);
	memory.live++;
	return block->content;
}

void *gyre__sim_alloc(size_t bytes, bool zero)
{
	return SIM_REFUSE("malloc") ? NULL : take(bytes, zero ? 0 : FRESH);
}

void gyre__sim_free(void *content)
{
	struct block *block;

	if (content == NULL)
		return;
	block = block_of(content);
	if (block->is_freed)
		sim_fail("a block of memory is freed twice");
	block->is_freed = true;
	memset(block->content, FREED, block->bytes);
	block->next = memory.freed;
	memory.freed = block;
	memory.live--;
}

void *gyre__sim_realloc(void *content, size_t bytes)
{
	void *made = gyre__sim_alloc(bytes, false);
	size_t old;

	if (content == NULL || made == NULL)
		return made;
	old = block_of(content)->bytes;
	memcpy(made, content, old < bytes ? old : bytes);
	gyre__sim_free(content);
	return made;
}

char *gyre__sim_strdup(const char *text)
{
	size_t bytes = strlen(text) + 1;
	char *made = gyre__sim_alloc(bytes, false);

	return made == NULL ? NULL : memcpy(made, text, bytes);
}

static void check_freed(const struct block *block)
{
	const unsigned char *content = block->content;

	/* All bytes equal the first. */
	if (block->bytes > 0 &&
	    (content[0] != FREED || memcmp(content, content + 1, block->bytes - 1) != 0))
		sim_fail("a freed block of %zu bytes was written to", block->bytes);
}

void sim_memory_check(void)
{
	while (memory.freed != NULL) {
		struct block *block = memory.freed;

		check_freed(block);
		memory.freed = block->next;
		free(block);
	}
	if (memory.live != 0)
		sim_fail("%zu blocks of memory were not given back", memory.live);
	if (memory.arenas_count != 0)
		sim_fail("%u arenas were not given back", memory.arenas_count);
}

bool sim_in_arena(const void *address)
{
	char *arena = (char *)gyre__arena_of(address);
	unsigned i;

	for (i = 0; i < memory.arenas_count; i++)
		if (memory.arenas[i] == arena)
			return true;
	return false;
}

/* Maps bytes at a multiple of align; what lies before and behind stays mapped, unused. */
static void *map_new(size_t bytes, size_t align)
{
	char *start = mmap(NULL, bytes + align, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (start == MAP_FAILED) {
		perror("gyre-sim: an arena");
		exit(2);
	}
	return start + (align - (uintptr_t)start % align) % align;
}

void *gyre__map(size_t bytes, size_t align)
{
	char *arena;

	if (align != GYRE_ARENA_BYTES || bytes > GYRE_ARENA_BYTES)
		sim_fail("a mapping of %zu bytes is more than the simulation has", bytes);
	if (SIM_REFUSE("gyre__map"))
		return NULL;
	if (memory.arenas_count == ARENAS)
		sim_fail("more than %d arenas", ARENAS);
	if (memory.spare_count > 0)
		arena = memory.spare[--memory.spare_count];
	else
		arena = map_new(GYRE_ARENA_BYTES, align);
	memory.arenas[memory.arenas_count++] = arena;
	return arena;
}

/* Clears what was written to: the tables, and the slabs that they say were ever laid out. */
static void clear(struct gyre__arena *arena)
{
	size_t i;

	for (i = 1; i < GYRE_ARENA_SLABS; i++)
		if (arena->slabs[i].base != NULL)
			memset(arena->slabs[i].base, 0,
			       arena->slabs[i].slabs * GYRE_SLAB_BYTES);
	memset(arena, 0, sizeof(*arena));
}

void gyre__unmap(void *address, size_t bytes)
{
	unsigned i;

	(void)bytes;
	for (i = 0; i < memory.arenas_count && memory.arenas[i] != (char *)address; i++)
		;
	if (i == memory.arenas_count)
		sim_fail("what is unmapped was not mapped");
	memory.arenas[i] = memory.arenas[--memory.arenas_count];
	clear(address);
	memory.spare[memory.spare_count++] = address;
}

void gyre__discard(void *address, size_t bytes)
{
	memset(address, 0, bytes);
}

void gyre__favour_huge(void *address, size_t bytes)
{
	(void)address;
	(void)bytes;
}

void *gyre__resize(void *address, size_t old_bytes, size_t bytes)
{
	(void)old_bytes;
	if (bytes > 0)
		return gyre__sim_realloc(address, bytes);
	gyre__sim_free(address);
	return NULL;
}
