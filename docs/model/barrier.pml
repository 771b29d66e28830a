/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * barrier.pml: the tagged engine's write barrier against the three handshakes of a boundary, and
 * against the collector, which asks for a slot's value in the view of that boundary while mutators
 * write. Two mutators of some loads, stores and births each, the collector, a root object and
 * OBJECTS cells of one slot each.
 *
 * One step for each access to a word that two threads share: the load of a slot, the plain store or
 * compare-and-swap, the publishing of an entry. What only one thread sees is joined to the step
 * before or after. Epochs are renamed after each processing: the one that is open, or whose
 * boundary or processing is under way, is NOW, the one after it NEXT. Ghosts say what the view is:
 * for each slot what the first write by a thread in the next epoch found there.
 *
 * README.md says what is left out. -DNAME of the lines below builds a twin, which must fail, or
 * another search: NEWBORNS, BORN_CLEAN, OUTSIDE, EXCLUSIVE=slot, ENTRY_LAST, NO_QUARANTINE. With
 * ONLY_HARM the invariants are not asserted, only what comes of one that is broken.
 */

#ifndef OPS
#define OPS 2 /* births, loads and stores of mutator 0 */
#endif
#ifndef OTHER_OPS
#define OTHER_OPS OPS /* and of mutator 1 */
#endif

#define M 2
#define OBJECTS 2
#define SLOTS (OBJECTS + 1)
#define ROOT 0 /* slot 0 is the root object's, slot o is object o's */

#define BIT(o) (1 << (o))
#define IN(mask, o) (((mask) >> (o)) & 1)
#define LOWEST(mask) (IN(mask, 1) -> 1 : 2)

/* A slot's word: an object and a tag. */
#define CLEAN 0
#define NOW 1
#define NEXT 2
#define GONE 3 /* the epoch before: what a mutator saw, and is no longer there */
#define WORD(object, tag) ((object) * 4 + (tag))
#define OBJECT(word) ((word) / 4)
#define TAG(word) ((word) % 4)

/* A mutator's phase: the handshakes that it has done. */
#define AT_WORK 0
#define OPENED 1   /* the window */
#define SWITCHED 2 /* to the next epoch; journal and births were sealed */
#define CLOSED 3   /* the window; frames and snoops were snapshotted. AT_WORK again when counted */

#ifdef SNAPSHOT_AT_SWITCH
#define IN_WINDOW(m) (phase[m] == OPENED)
#define SNAPSHOTS_NEXT(m) (phase[m] == OPENED)
#else
#define IN_WINDOW(m) (phase[m] == OPENED || phase[m] == SWITCHED)
#define SNAPSHOTS_NEXT(m) (phase[m] == SWITCHED)
#endif
#define MINE(m) (phase[m] < SWITCHED -> NOW : NEXT)

/* The heap, and what each mutator holds: its frame, the value that it is about to store, and the
 * word that it found in the slot. Sets of objects are masks. */
byte word[SLOTS], vacant;
byte frame[M], value[M], seen[M], ops[M];
bool locked; /* by the writer of a slot that has one at a time */

/* Journals: 0, or 1 + the old value. What is sealed is the collector's. */
byte phase[M];
byte entry[M * SLOTS], sealed[M * SLOTS];
byte births[M], sealed_births;
byte snoop[M], snapshot[M], counted[M]; /* snapshots of this boundary and of the last one */

/* Collector words, and its lists. */
byte rc[OBJECTS + 1];
byte born, young, early, waiting, released;
byte held, aside[2]; /* cells not to be reused at once; such freed in this processing, the last */

#ifdef OUTSIDE /* The root slot is outside the heap: each write is counted, by object. */
byte up[4 * M], down[4 * M], sealed_up[4], sealed_down[4], late_down[4];
byte by_root[4]; /* what it adds to the counts */
#define TAGGED(slot) ((slot) != ROOT)
#define BY_ROOT(o) by_root[o]
#else
#define TAGGED(slot) true
#define BY_ROOT(o) 0
#endif

/* What should be. */
byte ahead, view[SLOTS]; /* slots written in the next epoch, and what was in them */

byte reach;

#ifdef ONLY_HARM
#define INVARIANT(condition) true
#else
#define INVARIANT(condition) assert(condition)
#endif
#define WHEN(condition, step) \
	if \
	:: condition -> step \
	:: else \
	fi
#define EACH(i, first, last, step) \
	i = first; \
	do \
	:: i <= last -> step; i++ \
	:: else -> break \
	od; \
	i = 0

inline find_reachable()
{
	reach = BIT(OBJECT(word[ROOT])) | BIT(frame[0]) | BIT(frame[1]) | BIT(value[0]) |
		BIT(value[1]);
	EACH(k, 0, OBJECTS - 1,
		EACH(o, 1, OBJECTS, WHEN(IN(reach, o), reach = reach | BIT(OBJECT(word[o])))));
	k = 0
}

#define FREED (vacant | aside[0] | aside[1])

/* A reference that a mutator comes by. */
#define TAKEN(o) assert((o) == 0 || !IN(FREED, o))

/* Whether a slot of this object may be one of the next epoch's without its tag. */
#ifdef BORN_CLEAN
#define MAY_BE_UNBORN(object) ((object) != ROOT)
#else
#define MAY_BE_UNBORN(object) false
#endif

/* A write that leaves the slot with tag: what the ending view cannot see, and is of its objects. */
#define AHEAD(m) (phase[m] == SWITCHED && !IN(births[m], value[m]))
#define BEHIND(m, tag) (phase[m] == OPENED && ((tag) == NEXT || MAY_BE_UNBORN(to)))
#if defined(NO_SNOOP)
#define SNOOPS(m, tag) false
#elif defined(SNOOPS_SWITCHED)
#define SNOOPS(m, tag) AHEAD(m)
#elif defined(SNOOPS_BEHIND)
#define SNOOPS(m, tag) BEHIND(m, tag)
#else
#define SNOOPS(m, tag) (IN_WINDOW(m) && (AHEAD(m) || BEHIND(m, tag)))
#endif

/* The word of a slot changes. */
inline write(m, tag)
{
	if
	:: phase[m] >= SWITCHED && !IN(ahead, to) && TAGGED(to) ->
		ahead = ahead | BIT(to);
		view[to] = OBJECT(word[to])
	:: else
	fi;
	word[to] = WORD(value[m], tag);
	WHEN(SNOOPS(m, tag) && value[m] != 0, snoop[m] = snoop[m] | BIT(value[m]))
}

inline publish(m)
{
	INVARIANT(entry[m * SLOTS + to] == 0); /* once an epoch */
	entry[m * SLOTS + to] = 1 + OBJECT(seen[m])
}

/* The first write of the slot in this epoch? Who sees NEXT has not switched, or it is his own. */
#define FIRST(m) (TAG(seen[m]) != MINE(m) && TAG(seen[m]) != NEXT)

#ifdef LAG_RETAGS
#define KEPT(m) MINE(m)
#else
#define KEPT(m) TAG(seen[m])
#endif

#ifdef PLAIN_IN_WINDOW
#define PLAIN(m) (TAG(seen[m]) == MINE(m))
#else
#define PLAIN(m) (TAG(seen[m]) == MINE(m) && !IN_WINDOW(m))
#endif

inline write_exclusive(m)
{
	atomic {
		write(m, KEPT(m));
		WHEN(FIRST(m), word[to] = WORD(value[m], MINE(m)))
	}
}

inline publish_first(m)
{
	atomic { WHEN(FIRST(m), publish(m)) }
}

inline seal(m)
{
	EACH(k, 0, OBJECTS,
		INVARIANT(entry[m * SLOTS + k] == 0 || sealed[(1 - m) * SLOTS + k] == 0);
		sealed[m * SLOTS + k] = entry[m * SLOTS + k];
		entry[m * SLOTS + k] = 0);
#ifdef OUTSIDE
	EACH(k, 1, OBJECTS,
		sealed_up[k] = sealed_up[k] + up[4 * m + k];
		sealed_down[k] = sealed_down[k] + down[4 * m + k];
		up[4 * m + k] = 0; down[4 * m + k] = 0);
#endif
	sealed_births = sealed_births | births[m];
	births[m] = 0
}

inline take_snapshot(m)
{
	snapshot[m] = (snoop[m] | BIT(frame[m])) & ~1;
	snoop[m] = 0
}

/* Cells of which the next epoch's journal has an entry already: if they are freed in this
 * processing, they are not reused before the next one is done. */
inline hold_back(m)
{
#ifndef NO_QUARANTINE
	EACH(k, 1, OBJECTS, WHEN(entry[m * SLOTS + k] != 0, held = held | BIT(k)))
#else
	true
#endif
}

inline handshake(m)
{
	if
	:: phase[m] == AT_WORK ->
		phase[m] = OPENED
#ifdef TWO_HANDSHAKES
		;
		seal(m);
		phase[m] = SWITCHED
#endif
	:: phase[m] == OPENED ->
		seal(m);
#ifdef SNAPSHOT_AT_SWITCH
		take_snapshot(m);
#endif
		phase[m] = SWITCHED
	:: phase[m] == SWITCHED ->
#ifndef SNAPSHOT_AT_SWITCH
		take_snapshot(m);
#endif
		hold_back(m);
		phase[m] = CLOSED
	fi
}

#ifdef BORN_CLEAN
#define BIRTH(m) CLEAN
#else
#define BIRTH(m) MINE(m)
#endif

proctype mutator(byte m)
{
	byte to, k;

	/* Between two of these there is a safe point. */
end:	do
	:: atomic { phase[m] < CLOSED && phase[m] <= phase[1 - m] ->
		if
		:: SNAPSHOTS_NEXT(m) && frame[m] != 0 -> frame[m] = 0 /* of no use any more */
		:: true
		fi;
		d_step { handshake(m) } }
	:: atomic { ops[m] > 0 && OBJECT(word[ROOT]) != frame[m] ->
		frame[m] = OBJECT(word[ROOT]); TAKEN(frame[m]); ops[m]-- }
	:: atomic { ops[m] > 0 && frame[m] != 0 && OBJECT(word[frame[m]]) != frame[m] ->
		frame[m] = OBJECT(word[frame[m]]); TAKEN(frame[m]); ops[m]-- }
#ifdef NEWBORNS
	:: atomic { ops[m] > 0 && vacant != 0 ->
		frame[m] = LOWEST(vacant);
		vacant = vacant & ~BIT(frame[m]);
		births[m] = births[m] | BIT(frame[m]);
		word[frame[m]] = WORD(0, BIRTH(m));
		ops[m]-- }
#endif
	/* Stores. */
	:: atomic { ops[m] > 0 -> to = ROOT; goto store }
	:: atomic { ops[m] > 0 && frame[m] != 0 -> value[m] = frame[m]; to = ROOT; goto store }
	:: atomic { ops[m] > 0 && frame[m] != 0 -> to = frame[m]; goto store }
	:: atomic { ops[m] > 0 && frame[m] != 0 && OBJECT(word[ROOT]) != 0 ->
		value[m] = OBJECT(word[ROOT]); TAKEN(value[m]); to = frame[m] };
		goto store
	:: atomic { ops[m] > 0 && frame[m] != 0 && OBJECT(word[frame[m]]) != 0 ->
		value[m] = OBJECT(word[frame[m]]); TAKEN(value[m]); to = ROOT };
		goto store
	od;

store:
#ifdef OUTSIDE
	atomic { WHEN(to == ROOT, goto swap) };
#endif
#ifdef EXCLUSIVE
	atomic {
		WHEN(to != EXCLUSIVE, goto shared);
#ifndef EXCLUSIVE_RACES
		!locked;
#endif
		locked = true;
		seen[m] = word[to]
	};
#ifdef ENTRY_LAST
	write_exclusive(m);
	publish_first(m);
#else
	publish_first(m);
	write_exclusive(m);
#endif
	atomic { locked = false; goto done };
shared:
#endif
	atomic {
		seen[m] = word[to];
		WHEN(PLAIN(m), goto plain)
	}
	atomic {
		if
		:: word[to] != seen[m] ->
#ifdef LOST_RACE_JOURNALS
			publish_first(m);
#endif
			seen[m] = 0;
			goto store
		:: word[to] == seen[m] && !FIRST(m) -> write(m, KEPT(m)); goto done
		:: else -> write(m, MINE(m))
		fi
	};
	atomic { publish(m); goto done }
#ifdef OUTSIDE
swap:
	atomic {
		up[4 * m + value[m]]++;
		down[4 * m + OBJECT(word[ROOT])]++;
		up[4 * m] = 0; down[4 * m] = 0;
		write(m, CLEAN);
		goto done
	}
#endif
plain:
	atomic {
		write(m, TAG(seen[m]));
done:
		value[m] = 0; to = 0; seen[m] = 0;
		ops[m]--;
		goto end
	}
}

inline reached(o)
{
	born = born | BIT(o);
	young = young & ~BIT(o);
	waiting = waiting | BIT(o)
}

inline increment(o)
{
	if
	:: o == 0
	:: else ->
		assert(!IN(FREED | released, o));
		rc[o]++;
		WHEN(IN(young, o), reached(o));
		WHEN(!IN(born, o), early = early | BIT(o))
	fi
}

inline decrement(o)
{
	if
	:: o == 0
	:: else ->
		assert(!IN(FREED | released, o));
		assert(rc[o] > 0);
		rc[o]--;
		WHEN(rc[o] == 0 && IN(born, o), released = released | BIT(o))
	fi
}

inline free_cell(x)
{
	find_reachable();
	assert(!IN(reach, x)); /* what is freed is garbage */
	reach = 0;
	assert(rc[x] == 0);
	born = born & ~BIT(x);
	word[x] = 0;
	if
	:: IN(held, x) -> aside[0] = aside[0] | BIT(x)
	:: else -> vacant = vacant | BIT(x)
	fi
}

#ifdef OUTSIDE
inline increments_by_root()
{
	EACH(x, 1, OBJECTS,
		do
		:: sealed_up[x] > 0 -> increment(x); sealed_up[x]--; by_root[x]++
		:: else -> break
		od);
#ifdef ROOTS_AT_ONCE
	EACH(x, 1, OBJECTS,
		late_down[x] = late_down[x] + sealed_down[x];
		sealed_down[x] = 0);
#endif
}

inline decrements_by_root()
{
	EACH(x, 1, OBJECTS,
		do
		:: late_down[x] > 0 -> decrement(x); late_down[x]--; by_root[x]--
		:: else -> break
		od;
		late_down[x] = sealed_down[x];
		sealed_down[x] = 0);
}
#endif

/* Newborns that were counted before their epoch was processed, then this boundary's snapshots. */
inline early_and_snapshots()
{
	young = sealed_births;
	sealed_births = 0;
#ifndef NO_EARLY
	EACH(x, 1, OBJECTS, WHEN(IN(early & young, x) && rc[x] > 0, reached(x)));
#endif
	early = 0;
#ifdef OUTSIDE
	increments_by_root();
#endif
	EACH(x, 1, OBJECTS,
		WHEN(IN(snapshot[0], x), increment(x));
		WHEN(IN(snapshot[1], x), increment(x)))
}

/* An entry that counts for nothing. */
#ifdef STALE_KEPT
#define STALE(o) false
#elif defined(WAITING_KEPT)
#define STALE(o) (!IN(born, o))
#else
#define STALE(o) (!IN(born, o) || IN(waiting, o))
#endif

/* The next slot whose value in the view is to be counted: of an entry, then of a newborn. */
inline next_slot()
{
	s = SLOTS;
	do
	:: i < M * SLOTS && sealed[i] == 0 -> i++
	:: i < M * SLOTS && sealed[i] != 0 && STALE(i % SLOTS) -> sealed[i] = 0; i++
	:: i < M * SLOTS && sealed[i] != 0 && !STALE(i % SLOTS) -> s = i % SLOTS; i++; break
	:: i == M * SLOTS && waiting != 0 ->
		s = LOWEST(waiting);
		waiting = waiting & ~BIT(s);
		break
	:: else -> break
	od;
	w = 0
}

inline find_entry()
{
	if
	:: entry[s] != 0 -> v = entry[s] - 1
	:: entry[s] == 0 && entry[SLOTS + s] != 0 -> v = entry[SLOTS + s] - 1
#ifdef NO_WAIT
	:: else -> v = OBJECT(word[s])
#endif
	fi
}

inline count_slot()
{
	do
	:: atomic { w = word[s];
		if
		:: TAG(w) == CLEAN -> v = OBJECT(w); break
		:: TAG(w) == NEXT -> find_entry(); break
		:: else
		fi };
		atomic {
			if
#ifdef STORE_CLEANS
			:: true ->
#else
			:: word[s] != w -> w = 0
			:: else ->
#endif
				word[s] = WORD(OBJECT(w), CLEAN); v = OBJECT(w); break
			fi
		}
	od
}

/* What entries found, and the snapshots of the boundary before. */
inline decrements()
{
#ifdef DECREMENT_FIRST
	EACH(x, 0, M * SLOTS - 1, WHEN(STALE(x % SLOTS), sealed[x] = 0));
	EACH(x, 0, M * SLOTS - 1,
		WHEN(sealed[x] != 0, decrement(sealed[x] - 1); sealed[x] = 1));
#else
	EACH(x, 0, M * SLOTS - 1, WHEN(sealed[x] != 0, decrement(sealed[x] - 1); sealed[x] = 0));
#endif
	EACH(x, 1, OBJECTS,
		WHEN(IN(counted[0], x), decrement(x));
		WHEN(IN(counted[1], x), decrement(x)));
#ifdef OUTSIDE
	decrements_by_root();
#endif
	counted[0] = snapshot[0];
	counted[1] = snapshot[1];
	snapshot[0] = 0;
	snapshot[1] = 0
}

/* Newborns that nothing counted reaches. */
inline free_young()
{
	EACH(x, 1, OBJECTS, WHEN(IN(young, x), free_cell(x)));
	young = 0
}

#define VIEW(s) (IN(ahead, s) -> view[s] : OBJECT(word[s]))

#define RENAME(w) \
	w = WORD(OBJECT(w), (TAG(w) == CLEAN -> CLEAN : (TAG(w) == NEXT -> NOW : GONE)))

/* What is true of the collector's words and of all slots when an epoch has been processed. */
inline check()
{
	EACH(s, 1, OBJECTS,
		v = IN(counted[0], s) + IN(counted[1], s) + BY_ROOT(s);
		EACH(x, 0, OBJECTS, v = v + (IN(born, x) && TAGGED(x) && VIEW(x) == s));
		INVARIANT(rc[s] == v); /* counts are exact for the view */
		INVARIANT(v == 0 || IN(born | early, s)));
	v = 0;
	EACH(s, 0, OBJECTS,
		INVARIANT(!IN(born, s) || TAG(word[s]) == (IN(ahead, s) -> NEXT : CLEAN)))
}

inline rename()
{
	EACH(s, 0, OBJECTS,
		RENAME(word[s]);
		view[s] = 0;
		sealed[s] = 0;
		sealed[SLOTS + s] = 0);
	RENAME(seen[0]);
	RENAME(seen[1]);
	ahead = 0;
	vacant = vacant | aside[1];
	aside[1] = aside[0];
	aside[0] = 0;
	held = 0;
	phase[0] = AT_WORK;
	phase[1] = AT_WORK
}

proctype collector()
{
	byte i, s, w, v, x, k, o;

boundary:
	atomic {
		phase[0] == CLOSED && phase[1] == CLOSED;
		d_step {
			early_and_snapshots();
#ifdef DECREMENT_FIRST
			decrements();
#endif
			next_slot()
		}
	}
	do
	:: s < SLOTS ->
		count_slot();
		atomic {
			true;
			d_step {
				increment(v);
				v = 0; w = 0;
				next_slot()
			}
		}
	:: else -> break
	od;
	atomic {
		i = 0;
		d_step {
#ifndef DECREMENT_FIRST
			decrements();
#endif
			free_young()
		}
	}
	do
	:: released != 0 ->
		s = LOWEST(released);
		count_slot();
		atomic {
			true;
			d_step {
				decrement(v);
				released = released & ~BIT(s);
				free_cell(s);
				v = 0; w = 0; s = 0
			}
		}
	:: else -> break
	od;
	atomic {
		true;
		d_step { check(); rename() }
	}
	goto boundary
}

/* Graphs to begin with; snapshots of the last boundary are counted. */
init
{
	byte m;

	atomic {
		word[ROOT] = WORD(1, CLEAN);
		rc[1] = 1;
#ifdef OUTSIDE
		by_root[1] = 1;
#endif
#ifdef NEWBORNS
		born = BIT(ROOT) | BIT(1);
		if
		:: true
		:: frame[0] = 1
		fi;
#else
		born = BIT(ROOT) | BIT(1) | BIT(2);
		if
		:: word[1] = WORD(2, CLEAN); rc[2] = 1
		:: frame[0] = 2
		:: frame[1] = 2
		fi;
#endif
		vacant = (BIT(SLOTS) - 1) & ~born;
		EACH(m, 0, M - 1,
			counted[m] = BIT(frame[m]) & ~1;
			rc[frame[m]] = rc[frame[m]] + (frame[m] != 0);
			ops[m] = (m == 0 -> OPS : OTHER_OPS));
		m = 0;
		run mutator(0);
		run mutator(1);
		run collector()
	}
}
