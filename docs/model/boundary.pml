/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * boundary.pml: the boundary between two epochs: safe points, parking and claims, the grace period,
 * attach, detach and the end of a thread. Two mutators and the collector, all of which go on for
 * ever; epochs are counted from 0 again after each boundary, when all are in the same (asserted).
 *
 * Follows runtime/safepoint.c, runtime/mutator.c, runtime/platform/qsbr.c, collector/epoch.c: one
 * step for each access to a word that two threads share, plain accesses to a record are joined to
 * the step before or after. A record's journal is empty or holds entries of one epoch; its frames
 * hold something or nothing.
 *
 * Memory order: for each record the model keeps who has seen the last access to it, and which of
 * the two hand-over words would carry that to whoever acquires it. Each access asserts that the
 * owner has seen all there was. So a release or acquire that is missing is a failed assertion,
 * though values themselves are never stale.
 *
 * README.md says what is left out. -DNAME of the lines below builds a twin, which must fail.
 */

#define N 2

#define RUNNING 0
#define PARKED 1
#define CLAIMED 2
#define EXITED 3

/* Mutator 0 does everything; mutator 1 neither attaches nor leaves, and has no frames. */
#define FULL(m) ((m) == 0)

/* The orders that the twins weaken: what a store carries, and what a load takes over. */
#ifdef ANNOUNCE_RELAXED
#define ANNOUNCE 0
#else
#define ANNOUNCE 1
#endif
#ifdef EPOCH_READ_RELAXED
#define EPOCH_READ 0
#else
#define EPOCH_READ 1
#endif
#ifdef PARK_RELAXED
#define PARK 0
#else
#define PARK 1
#endif
#ifdef CLAIM_RELAXED
#define CLAIM 0
#else
#define CLAIM 1
#endif
#ifdef GIVE_BACK_RELAXED
#define GIVE_BACK 0
#else
#define GIVE_BACK 1
#endif
#ifdef UNPARK_RELAXED
#define UNPARK 0
#else
#define UNPARK 1
#endif

/* Shared words. */
byte heap_epoch;
byte state[N];
byte epoch[N];
bool poll_boundary[N];
bool poll_quiescent[N];
bool locked; /* the registry's lock, by the collector; mutators hold it for one step only */
bool asked;  /* mutator 0 waits for it */

/* Records. A journal is 0, or 1 + the epoch that its entries were written in. */
byte journal[N];
bool frame[N];
bool listed[N];
bool not_run[N]; /* snapshot_runs == runs */

/* The ring to the collector: one chain of chunks each time. */
bool sealed[N];
byte sealed_journal[N];
bool sealed_frame[N];

/* The collector's. */
bool counted[N]; /* the snapshot that is counted now */
bool kept[N];
bool ended[N];

/* QSBR. */
bool online[N], owes[N], enlisted[N], waiting;

/* What the threads know of each other's plain accesses. */
bool mutator_sees[N], collector_sees[N], state_carries[N];
bool ring_seen[N], state_carries_ring[N], epoch_carries_ring[N];

/* What should be: bit e of written: entries of epoch e wait to be counted. */
byte written[N];
bool held[N]; /* what the frames held at the last boundary */

/* Access to the record of m by its thread, and by the collector. */
inline access(m)
{
	assert(state[m] == RUNNING); /* one owner */
	assert(mutator_sees[m]);     /* no race */
	collector_sees[m] = false;
	state_carries[m] = false
}

inline access_for(m)
{
	assert(state[m] == CLAIMED || state[m] == EXITED);
	assert(collector_sees[m]);
	mutator_sees[m] = false;
	state_carries[m] = false
}

inline put(m, by_collector)
{
	if
	:: journal[m] != 0 || frame[m] ->
		assert(!sealed[m]);
		sealed[m] = true;
		sealed_journal[m] = journal[m];
		sealed_frame[m] = frame[m];
		journal[m] = 0;
		ring_seen[m] = by_collector;
		state_carries_ring[m] = false;
		epoch_carries_ring[m] = false
	:: else
	fi
}

inline release_state(m, value, carried)
{
	state[m] = value;
	state_carries[m] = mutator_sees[m] && carried;
	state_carries_ring[m] = sealed[m] && carried
}

inline seal(m)
{
	d_step {
		access(m);
		put(m, false)
	}
}

inline announce(m)
{
	d_step {
		epoch[m] = heap_epoch;
		epoch_carries_ring[m] = sealed[m] && ANNOUNCE;
		held[m] = frame[m]
	}
}

/* gyre__boundary on the mutator's thread. The heap's epoch stands still, as m is behind. */
inline boundary(m)
{
#ifdef ANNOUNCED_FIRST
	announce(m);
	seal(m);
	poll_boundary[m] = false
#elif defined(POLL_LOWERED_LAST)
	seal(m);
	announce(m);
	poll_boundary[m] = false
#else
	seal(m);
	poll_boundary[m] = false;
	announce(m)
#endif
#ifdef NO_QUIESCENT_BIT /* but a quiescent state at each boundary */
	;
	owes[m] = false
#endif
}

proctype mutator(byte m)
{
attach:
	atomic {
		!locked;
		state[m] = RUNNING;
		epoch[m] = heap_epoch;
		listed[m] = true;
		mutator_sees[m] = true
	}
	atomic {
		online[m] = true;
		enlisted[m] = true;
		poll_quiescent[m] = waiting
	}

	do
#ifndef LIVENESS /* no step depends on what is written */
	:: atomic { /* a store; more of them would be the same */
		journal[m] == 0 ->
		access(m);
		journal[m] = epoch[m] + 1;
		written[m] = written[m] | (1 << epoch[m])
	   }
	:: atomic { /* what the frames hold changes */
		FULL(m) && frame[m] == held[m] ->
		access(m);
		frame[m] = !frame[m]
	   }
#else
	:: !poll_boundary[m] && !poll_quiescent[m] /* a safe point with nothing to do */
#endif
	:: poll_boundary[m] -> boundary(m)
	:: atomic { !poll_boundary[m] && poll_quiescent[m] -> owes[m] = false }
	:: atomic { release_state(m, PARKED, PARK); online[m] = false; owes[m] = false };
		if
		:: skip
		:: true -> end_parked: false /* stays parked */
		fi;
		atomic {
#ifdef CLAIM_NOT_AWAITED
			state[m] == PARKED || state[m] == CLAIMED;
#else
			state[m] == PARKED;
#endif
			state[m] = RUNNING;
			mutator_sees[m] = mutator_sees[m] || (state_carries[m] && UNPARK)
		};
		atomic {
			online[m] = true;
			access(m);
#ifndef RUNS_NOT_COUNTED
			not_run[m] = false
#endif
		};
		if
		:: poll_boundary[m] -> boundary(m)
		:: !poll_boundary[m]
		:: FULL(m) -> break /* the thread ended parked */
		fi
	:: FULL(m) -> break
	od;

	atomic {
		access(m);
		frame[m] = false;
		enlisted[m] = false;
		online[m] = false;
		owes[m] = false;
		asked = true
	}
	atomic {
#ifndef EXIT_UNLOCKED
		!locked;
#endif
		release_state(m, EXITED, true);
		asked = false
	}
	if
	:: !listed[m] -> goto attach /* with a new record */
	:: true -> end_gone: false
	fi
}

/* boundary_for: the record is the collector's. Nobody else looks at it, so this is one step. */
inline boundary_for(m)
{
	d_step {
		access_for(m);
		if
#ifndef CLAIMED_ANYWAY /* it did its boundary between the looks and the claim */
		:: epoch[m] == heap_epoch
#endif
#ifdef PARKED_LEFT_OUT
		:: epoch[m] != heap_epoch && state[m] == CLAIMED ->
			kept[m] = true;
			poll_boundary[m] = false;
			epoch[m] = heap_epoch
#elif defined(EXIT_LEFT_OUT)
		:: epoch[m] != heap_epoch && state[m] == EXITED ->
			poll_boundary[m] = false;
			epoch[m] = heap_epoch
#endif
		:: else ->
			if
			:: not_run[m] ->
				kept[m] = true;
				held[m] = frame[m]
			:: !not_run[m] && epoch[m] != heap_epoch ->
				put(m, true);
				held[m] = frame[m];
				not_run[m] = true
			:: else ->
				not_run[m] = true
			fi;
			poll_boundary[m] = false;
			epoch[m] = heap_epoch
		fi
	}
}

inline look_at_state(m)
{
	d_step {
		looked = state[m];
		collector_sees[m] = collector_sees[m] || state_carries[m];
		ring_seen[m] = ring_seen[m] || state_carries_ring[m]
	}
}

inline look_at_epoch(m)
{
	d_step {
		arrived = epoch[m] == heap_epoch;
		ring_seen[m] = ring_seen[m] || (epoch_carries_ring[m] && EPOCH_READ)
	}
}

/* settle: the looks at the state and at the epoch are two steps; the lock is held. */
inline settle(m)
{
#ifdef EPOCH_FIRST
	look_at_epoch(m);
	look_at_state(m);
#else
	look_at_state(m);
	look_at_epoch(m);
#endif
	if
	:: arrived
	:: else ->
		if
		:: looked == EXITED ->
			boundary_for(m);
			ended[m] = true
		:: looked == PARKED ->
			d_step {
				if
				:: state[m] == PARKED ->
					state[m] = CLAIMED;
					collector_sees[m] =
						collector_sees[m] || (state_carries[m] && CLAIM);
					ring_seen[m] =
						ring_seen[m] || (state_carries_ring[m] && CLAIM)
				:: else ->
					behind = true;
					looked = RUNNING
				fi
			}
			if
			:: looked == PARKED ->
				boundary_for(m);
				d_step {
					state[m] = PARKED;
					state_carries[m] = collector_sees[m] && GIVE_BACK;
					state_carries_ring[m] = false
				}
			:: else
			fi
		:: else -> behind = true
		fi
	fi;
	looked = 0;
	arrived = false
}

inline forget(m)
{
	listed[m] = false;
	ended[m] = false;
	counted[m] = false;
	held[m] = false;
	not_run[m] = false;
	poll_boundary[m] = false;
	poll_quiescent[m] = false;
	state[m] = RUNNING;
	epoch[m] = 0;
	mutator_sees[m] = false;
	collector_sees[m] = false;
	state_carries[m] = false
}

/* collect_sealed, and what must be true of it. */
inline collect(m)
{
	if
	:: listed[m] ->
		assert(epoch[m] == heap_epoch);
		assert(!sealed[m] || ring_seen[m]); /* else the ring may look empty */
		assert(!kept[m] || !sealed[m]);
		/* The entries of the epoch that is over, all of them and no others. */
		assert((sealed[m] && sealed_journal[m] != 0) == (written[m] & 1));
		assert(!sealed[m] || sealed_journal[m] <= 1);
		assert(journal[m] != 1);
		written[m] = written[m] & ~1;
		if
		:: kept[m]
		:: else -> counted[m] = sealed[m] && sealed_frame[m]
		fi;
		assert(counted[m] == held[m]);
		kept[m] = false;
		sealed[m] = false;
		sealed_journal[m] = 0;
		sealed_frame[m] = false;
		ring_seen[m] = false;
		state_carries_ring[m] = false;
		epoch_carries_ring[m] = false;
		if
		:: ended[m] ->
			assert(journal[m] == 0 && !written[m]);
			assert(state[m] == EXITED);
			forget(m)
		:: else
		fi
	:: else
	fi
}

/* Everybody is in the same epoch: it is 0 again. */
inline count_from_0(m)
{
	if
	:: listed[m] ->
		epoch[m] = 0;
		written[m] = written[m] >> 1;
		if
		:: journal[m] == 2 -> journal[m] = 1
		:: else
		fi
	:: else
	fi
}

inline synchronize()
{
	d_step {
		waiting = true;
#ifndef NO_QUIESCENT_BIT
		poll_quiescent[0] = enlisted[0];
		poll_quiescent[1] = enlisted[1]
#endif
	}
	d_step {
		owes[0] = online[0];
		owes[1] = online[1]
	}
	!owes[0] && !owes[1];
	d_step {
		waiting = false;
		poll_quiescent[0] = false;
		poll_quiescent[1] = false
	}
}

proctype collector()
{
	byte looked;
	bool arrived, behind;

progress_boundary:
	atomic { /* open_epoch */
		assert(!listed[0] || epoch[0] == heap_epoch);
		assert(!listed[1] || epoch[1] == heap_epoch);
		heap_epoch = 1;
		poll_boundary[0] = listed[0];
		poll_boundary[1] = listed[1]
	}
	do
	:: atomic {
#ifdef LIVENESS /* the lock is fair */
		!asked;
#endif
		locked = true;
		behind = false
	   }

		if
		:: listed[0] -> settle(0)
		:: else
		fi;
		if
		:: listed[1] -> settle(1)
		:: else
		fi;
		locked = false;
		if
		:: behind -> synchronize()
		:: else -> break
		fi
#ifdef GRACE_PERIOD_DECIDES
		;
		break
#endif
	od;
	atomic {
		collect(0);
		collect(1);
		count_from_0(0);
		count_from_0(1);
		heap_epoch = 0
	}
	goto progress_boundary
}

init
{
	atomic {
		run mutator(0);
		run mutator(1);
		run collector()
	}
}
