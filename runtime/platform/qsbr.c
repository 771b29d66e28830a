/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * qsbr.c: liburcu's QSBR flavour behind qsbr.h. Each function runs on the thread it speaks of.
 *
 * Invariants: a thread is registered once however many heaps it is attached to; a thread that its host
 * registered is neither registered nor made quiescent, offline or online by gyre, because the host may
 * hold pointers of its own across our safe points.
 */
#include "platform/qsbr.h"

#include <assert.h>
#include <urcu-qsbr.h>
/* For the reader's registered bit: registering a thread twice aborts the process, and only that bit
 * tells a registered thread that is offline from one that is not registered. */
#include <urcu/static/urcu-qsbr.h>

static _Thread_local struct {
	unsigned attached; /* heaps this thread is attached to */
	unsigned parked;   /* of them, parked in */
	bool ours;         /* gyre registered it */
} self;

void gyre__qsbr_attach(bool host)
{
	if (self.attached++ > 0)
		return;
	self.parked = 0;
	self.ours = !host && !URCU_TLS(urcu_qsbr_reader).registered;
	if (self.ours)
		urcu_qsbr_register_thread();
}

void gyre__qsbr_detach(void)
{
	assert(self.attached > 0);
	if (--self.attached == 0 && self.ours) {
		urcu_qsbr_unregister_thread();
		self.ours = false;
	}
}

void gyre__qsbr_park(void)
{
	if (self.parked++ == 0 && self.ours)
		urcu_qsbr_thread_offline();
}

void gyre__qsbr_unpark(void)
{
	if (--self.parked == 0 && self.ours)
		urcu_qsbr_thread_online();
}

void gyre__qsbr_quiescent(void)
{
	if (self.ours && self.parked == 0)
		urcu_qsbr_quiescent_state();
}

void gyre__qsbr_wait(void)
{
	urcu_qsbr_synchronize_rcu();
}

bool gyre__qsbr_is_host(void)
{
	return self.attached > 0 && !self.ours;
}
