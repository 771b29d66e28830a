/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qsbr.c: quiescent-state based grace periods for coroutines, in the place of
 * runtime/platform/qsbr.c and of liburcu. Runs on the coroutine that calls.
 *
 * What liburcu's flavour does: a grace period has a number; a reader notes the number of the newest
 * one when it is quiescent or comes online, and 0 when it goes offline; whoever waits begins a new
 * one, being no online reader meanwhile, until each registered reader is offline or has noted it.
 * And what gyre does on top of it (runtime/platform/qsbr.c): one registration a thread however many
 * heaps, hands off threads that their host registered, the bit in the poll words while anyone
 * waits.
 */
#include "core.h"

#include <string.h>

#include "twin.h"

static struct {
	uint64_t newest;
	const void *stopper;
	struct gyre__reader *first;
	unsigned waiting;
} process;

void sim_qsbr_reset(void)
{
	memset(&process, 0, sizeof(process));
	process.newest = 1;
}

static void set_reader(struct sim_thread *thread, uint64_t seen)
{
	thread->reader = seen;
	sim_wake(&process);
}

static void raise_bit(struct gyre__reader *reader)
{
	if (!GYRE_TWIN(no_quiescent_bit))
		*(uint32_t *)reader->poll |= reader->bit;
}

static void lower_bit(struct gyre__reader *reader)
{
	*(uint32_t *)reader->poll &= ~reader->bit;
}

/* No coroutine is forked. */
void gyre__qsbr_fork_child(void)
{
}

void gyre__qsbr_attach(struct gyre__reader *reader, bool host)
{
	struct sim_thread *self = sim.current;

	if (self->attached++ == 0) {
		self->parked = 0;
		self->ours = !host && !self->registered;
		if (self->ours) {
			self->registered = true;
			set_reader(self, process.newest);
		}
	}
	if (!self->ours)
		return;
	reader->listed = true;
	reader->previous = NULL;
	reader->next = process.first;
	if (reader->next != NULL)
		reader->next->previous = reader;
	process.first = reader;
	if (process.waiting > 0)
		raise_bit(reader);
}

void gyre__qsbr_detach(struct gyre__reader *reader)
{
	struct sim_thread *self = sim.current;

	if (reader->listed) {
		if (reader->previous != NULL)
			reader->previous->next = reader->next;
		else
			process.first = reader->next;
		if (reader->next != NULL)
			reader->next->previous = reader->previous;
		reader->listed = false;
	}
	if (--self->attached == 0 && self->ours) {
		self->ours = self->registered = false;
		set_reader(self, 0);
	}
}

void gyre__qsbr_park(void)
{
	if (sim.current->parked++ == 0 && sim.current->ours)
		set_reader(sim.current, 0);
}

void gyre__qsbr_unpark(void)
{
	if (--sim.current->parked == 0 && sim.current->ours)
		set_reader(sim.current, process.newest);
}

void gyre__qsbr_quiescent(void)
{
	if (sim.current->ours && sim.current->parked == 0)
		set_reader(sim.current, process.newest);
}

void sim_host_register(void)
{
	sim.current->registered = true;
	set_reader(sim.current, process.newest);
}

void sim_host_unregister(void)
{
	sim.current->registered = false;
	set_reader(sim.current, 0);
}

void sim_host_quiescent(void)
{
	set_reader(sim.current, process.newest);
}

void sim_host_offline(void)
{
	set_reader(sim.current, 0);
}

uint64_t sim_host_seen(void)
{
	return sim.current->reader;
}

static bool all_have_seen(uint64_t number)
{
	unsigned i;

	for (i = 0; i < sim.count; i++) {
		const struct sim_thread *thread = &sim.threads[i];

		if (thread->registered && thread->reader != 0 && thread->reader < number)
			return false;
	}
	return true;
}

/* Waits as liburcu's synchronize does; a reader that waits is offline meanwhile. */
static void synchronize(void)
{
	struct sim_thread *self = sim.current;
	bool online = self->registered && self->reader != 0;
	uint64_t number;

	if (online)
		set_reader(self, 0);
	number = ++process.newest;
	while (!all_have_seen(number))
		sim_block(&process, "a grace period", UINT64_MAX);
	if (online)
		set_reader(self, process.newest);
}

void gyre__qsbr_wait(void)
{
	struct gyre__reader *reader;

	if (process.waiting++ == 0)
		for (reader = process.first; reader != NULL; reader = reader->next)
			raise_bit(reader);
	synchronize();
	if (--process.waiting == 0)
		for (reader = process.first; reader != NULL; reader = reader->next)
			lower_bit(reader);
}

void gyre__stop_begin(void)
{
	while (process.stopper != NULL)
		sim_block(&process.stopper, "another heap's stop", UINT64_MAX);
	process.stopper = sim.current;
}

void gyre__stop_end(void)
{
	process.stopper = NULL;
	sim_wake(&process.stopper);
}
