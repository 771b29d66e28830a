/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * weak.pml: weak cells and finalizers. A set of two objects or of one dies, by count or as a cycle,
 * while two mutators load its cells, change it through what they loaded, and run its finalizers.
 *
 * The engine tagged, or with RECYCLER the other one. What differs is how counts come about and what
 * a set is judged by: in tagged the exact counts of a view that three handshakes make, slots that
 * were written in the open epoch being no edges; in the recycler journals whose decrements are
 * counted an epoch late, and the tests sigma, delta and touch. Arming, the group's state and the
 * end of a set are the same.
 *
 * While the mutators run, any set of objects that the tests can pass may be a candidate. When they
 * have stopped, a trial from all purple objects finds the sets, and soon all garbage must be gone.
 * A slow load looks at the word, the group and the group's state in three steps; so does the
 * collector write them, and clear the words, one in a step. A load may miss a mark until its thread
 * has done a handshake after it.
 *
 * README.md says what is left out. -DNAME of the lines below builds a twin, which must fail, or
 * another search: RECYCLER, FINAL, LOOK_BACK.
 */

#ifndef OPS
#define OPS 2 /* loads, stores and makings of mutator 0 */
#endif
#ifndef OTHER_OPS
#define OTHER_OPS 1 /* and of mutator 1, which has one more for each finalizer that it runs */
#endif
#ifndef EPOCHS
#define EPOCHS 6 /* after the mutators have stopped, until garbage is gone */
#endif

#define M 2
#define OBJECTS 2
#define ROOT 0 /* slot 0 is the root object's, slot o is object o's */
#define OTHER(o) (3 - (o))

#define BIT(o) (1 << (o))
#define IN(mask, o) (((mask) >> (o)) & 1)
#define LOWEST(mask) (IN(mask, 1) -> 1 : 2)

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

/* A mutator's phase: the handshakes of a boundary that it has done. From SWITCHED on it is in the
 * next epoch. The recycler has one handshake, from AT_WORK to CLOSED. */
#define AT_WORK 0
#define OPENED 1   /* the window */
#define SWITCHED 2
#define CLOSED 3   /* its frame was snapshotted. AT_WORK again when the epoch has been processed */

/* The heap, and what each mutator holds. Sets of objects are masks, also those of cells: cell o is
 * object o's. Everybody knows all cells that were made. */
byte slot[OBJECTS + 1], frame[M], ops[M], phase[M];
byte freed;
bool loop; /* object 1 has a second slot that refers to itself for ever */
#define LOOP(o) (loop && (o) == 1)

/* Cells: the word is the object unless CLEARED, with the mark ARMED or without. */
byte made, cleared, armed, group[OBJECTS + 1];
mtype = { PENDING, REVIVED, DEAD };
mtype state[OBJECTS + 1]; /* of a leader */
byte letting, gone;       /* cleared cells that are to be let go, and that were */
byte asking[M], leader[M]; /* a slow load of this cell; the leader that it found */
byte knows[M];            /* marks that a mutator cannot miss */

/* Finalizers: objects that have one; those whose is not to run any more; the queue, what mutator 1
 * runs, and what of that it has not begun with. */
byte final, finalized, queued, running, to_run, ran[OBJECTS + 1];

/* Journals. Snapshots of this boundary and of the last one; decrements by object, of an epoch and
 * of the one before: in tagged only of what the finalizers held. */
byte snapshot[M], counted[M];
byte down[OBJECTS * M + 1], sealed_down[OBJECTS + 1], late_down[OBJECTS + 1];
#define JOURNAL(m, o) (OBJECTS * (m) + (o))
#ifdef RECYCLER
byte up[OBJECTS * M + 1], sealed_up[OBJECTS + 1];
byte crc[OBJECTS + 1], orange;
byte touch[OBJECTS + 1]; /* the epoch of a cell's last load, renamed as below */
#else
/* Slots written in the epoch, and in the next one, with what these held in the view of the epoch;
 * for each slot what it held in the view that was counted last. barrier.pml shows that tags and
 * entries tell this. */
byte written, ahead, view[OBJECTS + 1], value[OBJECTS + 1];
byte snoop[M];
#endif

/* Collector words, and the set that it judges: one at a time. */
byte rc[OBJECTS + 1];
byte purple, zeros, pending;
byte set;
bool waits; /* the set is armed */

/* What should be: cells of which, or of whose set, a load gave null; sets by cell; members of sets
 * that came to their end. */
byte null, of_set[OBJECTS + 1], died;

byte reach;

inline find_reachable()
{
	reach = BIT(slot[ROOT]) | BIT(frame[0]) | BIT(frame[1]) | queued | running;
	EACH(r, 1, OBJECTS, WHEN(IN(reach, r), reach = reach | BIT(slot[r])));
	EACH(r, 1, OBJECTS, WHEN(IN(reach, r), reach = reach | BIT(slot[r])))
}

/* A reference that a mutator comes by. */
#define TAKEN(o) assert((o) == 0 || !IN(freed, o))

inline store(m, to, new)
{
	d_step {
		ops[m]--;
#ifdef RECYCLER
		up[JOURNAL(m, new)] = up[JOURNAL(m, new)] + (new != 0);
		down[JOURNAL(m, slot[to])] = down[JOURNAL(m, slot[to])] + (slot[to] != 0);
		slot[to] = new
#else
		if
		:: phase[m] >= SWITCHED && !IN(ahead, to) ->
			ahead = ahead | BIT(to);
			view[to] = slot[to]
		:: phase[m] < SWITCHED && !IN(ahead, to) -> written = written | BIT(to)
		:: else
		fi;
		slot[to] = new;
		/* What the ending view cannot see. */
		WHEN(new != 0 && (phase[m] == SWITCHED || phase[m] == OPENED && IN(ahead, to)),
			snoop[m] = snoop[m] | BIT(new))
#endif
	}
}

inline seal(m)
{
	EACH(k, 1, OBJECTS,
		sealed_down[k] = sealed_down[k] + down[JOURNAL(m, k)];
		down[JOURNAL(m, k)] = 0)
#ifdef RECYCLER
	;
	EACH(k, 1, OBJECTS,
		sealed_up[k] = sealed_up[k] + up[JOURNAL(m, k)];
		up[JOURNAL(m, k)] = 0)
#endif
}

inline handshake(m)
{
#ifdef RECYCLER
	seal(m);
	snapshot[m] = BIT(frame[m]) & ~1;
	phase[m] = CLOSED;
#else
	if
	:: phase[m] == AT_WORK -> phase[m] = OPENED
	:: phase[m] == OPENED -> seal(m); phase[m] = SWITCHED
	:: phase[m] == SWITCHED ->
		snapshot[m] = (snoop[m] | BIT(frame[m])) & ~1;
		snoop[m] = 0;
		phase[m] = CLOSED
	fi;
#endif
	knows[m] = armed
}

#ifdef RECYCLER
#define SNAPSHOTS_NEXT(m) true
#else
#define SNAPSHOTS_NEXT(m) (phase[m] == SWITCHED)
#endif

/* How a load of cell c ends. */
inline gives_object(m, c)
{
	assert(!IN(null, c)); /* never again, and not while another of the set is null */
	TAKEN(c);
	frame[m] = c
}

inline gives_null(m, c)
{
	find_reachable();
	/* Nobody can reach it, unless a finalizer made it live again. */
	assert(!IN(reach, c) || IN(died, c));
	reach = 0;
	null = null | of_set[c] | BIT(c);
	frame[m] = 0
}

/* Epochs by number: 2 is the one that ends now, or has ended and is processed, 3 the one after it.
 * The note of a later epoch is not overwritten by a thread that is still in the one before; else
 * the collector must mind also loads of the epoch before the one that it has counted. */
#ifdef RECYCLER
#define MINE(m) (phase[m] == CLOSED -> 3 : 2)
inline stamp(m, c)
{
#if defined(NO_TOUCH)
	skip
#elif defined(TOUCH_OVERWRITTEN) || defined(LOOK_BACK)
	touch[c] = MINE(m)
#else
	WHEN(touch[c] < MINE(m), touch[c] = MINE(m))
#endif
}
#ifdef LOOK_BACK
#define OLD 0
#else
#define OLD 1
#endif
#endif

inline weak_load(m, c)
{
	ops[m]--;
#ifdef RECYCLER
	stamp(m, c);
#endif
	if
	:: IN(cleared, c) -> gives_null(m, c)
#ifdef NO_GROUP
	:: !IN(cleared, c) -> gives_object(m, c)
#else
	:: !IN(cleared, c) && !IN(armed & knows[m], c) -> gives_object(m, c)
	:: !IN(cleared, c) && IN(armed, c) -> asking[m] = c
#endif
	fi
}

inline make_cell(m, o)
{
	ops[m]--;
	made = made | BIT(o);
#ifndef CREATION_UNCOUNTED
#ifdef RECYCLER
	up[JOURNAL(m, o)]++;
	down[JOURNAL(m, o)]++
#else
	snoop[m] = snoop[m] | BIT(o)
#endif
#else
	skip
#endif
}

#define STOPPED(m) (ops[m] == 0 && frame[m] == 0 && asking[m] == 0)
#define ALL_STOPPED (STOPPED(0) && STOPPED(1) && queued == 0 && running == 0)
/* The boundary is one step then: nobody sees the difference. */
#define QUIET (ALL_STOPPED && phase[0] == AT_WORK && phase[1] == AT_WORK)

proctype mutator(byte m)
{
	byte k, r;

	/* Between two of these there is a safe point. */
end:	do
	:: atomic { asking[m] != 0 && leader[m] == 0 -> leader[m] = group[asking[m]] }
	:: atomic { asking[m] != 0 && leader[m] != 0 ->
		assert(!IN(gone, leader[m]));
		if
		:: state[leader[m]] == PENDING ->
			state[leader[m]] = REVIVED;
			gives_object(m, asking[m])
		:: state[leader[m]] == DEAD -> gives_null(m, asking[m])
		:: else -> gives_object(m, asking[m])
		fi;
		asking[m] = 0; leader[m] = 0 }
	:: atomic { m == 0 && QUIET ->
		d_step {
			do
			:: phase[0] < CLOSED -> handshake(0)
			:: else -> break
			od;
			do
			:: phase[1] < CLOSED -> handshake(1)
			:: else -> break
			od
		} }
	:: atomic { !QUIET && asking[m] == 0 && phase[m] < CLOSED && phase[m] <= phase[1 - m] ->
		if
		:: SNAPSHOTS_NEXT(m) && frame[m] != 0 -> frame[m] = 0
		:: true
		fi;
		d_step { handshake(m) } }
#define WORKS(m) (asking[m] == 0 && ops[m] > 0)
	:: atomic { WORKS(m) -> ops[m] = 0 } /* enough */
	/* Loads. */
	:: atomic { WORKS(m) && slot[ROOT] != 0 && slot[ROOT] != frame[m] ->
		ops[m]--; frame[m] = slot[ROOT]; TAKEN(frame[m]) }
	:: atomic { WORKS(m) && frame[m] != 0 && slot[frame[m]] != 0 &&
			slot[frame[m]] != frame[m] ->
		ops[m]--; frame[m] = slot[frame[m]]; TAKEN(frame[m]) }
	:: atomic { WORKS(m) && IN(made, 1) -> weak_load(m, 1) }
	:: atomic { WORKS(m) && IN(made, 2) -> weak_load(m, 2) }
	:: atomic { WORKS(m) && frame[m] != 0 && !IN(made, frame[m]) -> make_cell(m, frame[m]) }
	/* Stores. */
	:: atomic { WORKS(m) && slot[ROOT] != 0 -> store(m, ROOT, 0) }
	:: atomic { WORKS(m) && frame[m] != 0 && slot[ROOT] != frame[m] ->
		store(m, ROOT, frame[m]) }
	:: atomic { WORKS(m) && frame[m] != 0 && slot[frame[m]] != 0 -> store(m, frame[m], 0) }
	:: atomic { WORKS(m) && frame[m] != 0 && slot[frame[m]] != frame[m] ->
		store(m, frame[m], frame[m]) }
#ifdef FINAL
	/* A batch, and the next of its finalizers. */
	:: atomic { m == 1 && asking[m] == 0 && (to_run != 0 || running == 0 && queued != 0) ->
		if
		:: running == 0 -> running = queued; to_run = queued; queued = 0
		:: else
		fi;
		frame[m] = LOWEST(to_run);
		TAKEN(frame[m]);
		to_run = to_run & ~BIT(frame[m]);
		ran[frame[m]]++;
		assert(ran[frame[m]] == 1); /* once */
		ops[m]++ }
	:: atomic { m == 1 && asking[m] == 0 && to_run == 0 && running != 0 ->
		d_step {
#ifdef EARLY_UNPIN
			EACH(k, 1, OBJECTS, late_down[k] = late_down[k] + IN(running, k));
#else
			EACH(k, 1, OBJECTS,
				down[JOURNAL(m, k)] = down[JOURNAL(m, k)] + IN(running, k));
#endif
			running = 0 } }
#endif
	od
}

/* What dies by count alone is put aside if there is more to be done than to free it. */
#define SPECIAL(o) (IN(made & ~cleared, o) || IN(final & ~finalized, o))

inline decrement(x)
{
	if
	:: (x) == 0
	:: else ->
		assert(!IN(freed | pending, x));
		assert(rc[x] > 0);
		rc[x]--;
#ifdef RECYCLER
		orange = orange & ~BIT(x);
#endif
		if
		:: rc[x] > 0 -> purple = purple | BIT(x)
		:: rc[x] == 0 && IN(set, x) /* looked at when it leaves */
		:: rc[x] == 0 && !IN(set, x) && SPECIAL(x) ->
			zeros = zeros | BIT(x); purple = purple & ~BIT(x)
		:: else -> pending = pending | BIT(x); purple = purple & ~BIT(x)
		fi
	fi
}

inline increment(x)
{
	if
	:: (x) == 0
	:: else ->
		assert(!IN(freed | pending, x));
		rc[x]++
#ifdef RECYCLER
		;
		orange = orange & ~BIT(x)
#endif
#ifdef INCREMENTS_CLEAR
		;
		purple = purple & ~BIT(x)
#endif
	fi
}

inline free_cell(x)
{
	find_reachable();
	assert(!IN(reach, x)); /* what is freed is garbage */
	reach = 0;
	freed = freed | BIT(x);
	slot[x] = 0;
	rc[x] = 0;
	purple = purple & ~BIT(x); zeros = zeros & ~BIT(x);
#ifndef RECYCLER
	value[x] = 0; view[x] = 0;
	written = written & ~BIT(x); ahead = ahead & ~BIT(x)
#endif
}

/* What a slot holds for the collector, and whether that is an edge that it may subtract. */
#ifdef RECYCLER
#define HELD(s) slot[s]
#define EDGE(s) true
#else
#define HELD(s) value[s]
#define EDGE(s) (!IN(ahead, s))
#endif

inline drain()
{
	do
	:: pending != 0 ->
		x = LOWEST(pending);
		decrement(HELD(x));
		pending = pending & ~BIT(x);
		free_cell(x)
	:: else -> break
	od;
	x = 0
}

inline count()
{
	gone = gone | letting;
	letting = 0;
	/* No load is under way that saw a mark which is gone: what it would look at is forgotten. */
	EACH(x, 1, OBJECTS,
		WHEN(!IN(armed, x),
			group[x] = 0;
			of_set[x] = (IN(cleared, x) -> of_set[x] : 0);
			state[x] = 0));
#ifdef RECYCLER
	EACH(x, 1, OBJECTS, WHEN(IN(cleared, x), touch[x] = OLD));
#endif
	/* Increments. */
	EACH(x, 0, M - 1, EACH(y, 1, OBJECTS, WHEN(IN(snapshot[x], y), increment(y))));
#ifdef RECYCLER
	EACH(x, 1, OBJECTS,
		do
		:: sealed_up[x] > 0 -> increment(x); sealed_up[x]--
		:: else -> break
		od);
#else
	EACH(x, 0, OBJECTS,
		y = (IN(ahead, x) -> view[x] : slot[x]);
		WHEN(IN(written, x), increment(y)));
#endif
	/* Decrements. */
#ifndef RECYCLER
	EACH(x, 0, OBJECTS,
		y = value[x];
		value[x] = (IN(ahead, x) -> view[x] : slot[x]);
		WHEN(IN(written, x), decrement(y)));
	y = 0;
	written = 0;
#endif
	EACH(x, 0, M - 1,
		EACH(y, 1, OBJECTS, WHEN(IN(counted[x], y), decrement(y)));
		counted[x] = snapshot[x];
		snapshot[x] = 0);
	EACH(x, 1, OBJECTS,
		do
		:: late_down[x] > 0 -> decrement(x); late_down[x]--
		:: else -> break
		od;
		late_down[x] = sealed_down[x];
		sealed_down[x] = 0);
	drain()
}

/* The proof. */
inline examine()
{
	dead = true;
#ifdef RECYCLER
	EACH(x, 1, OBJECTS, WHEN(IN(set, x), dead = dead && crc[x] == 0));
	dead = dead && (set & orange) == set;
	EACH(x, 1, OBJECTS,
		WHEN(waits && IN(set & armed, x), dead = dead && touch[x] <= OLD));
#else
	EACH(x, 1, OBJECTS,
		y = rc[x] - LOOP(x) - (IN(set, 1) && EDGE(1) && HELD(1) == x) -
			(IN(set, 2) && EDGE(2) && HELD(2) == x);
		WHEN(IN(set, x), dead = dead && y == 0));
	y = 0;
#endif
#ifndef MADE_SINCE_MISSED
	dead = dead && (!waits || (set & made & ~(cleared | armed)) == 0);
#endif
}

inline leave()
{
	armed = armed & ~set;
	knows[0] = knows[0] & armed;
	knows[1] = knows[1] & armed;
	k = set;
	set = 0;
	waits = false;
	EACH(x, 1, OBJECTS,
		if
		:: !IN(k, x)
		:: IN(k, x) && rc[x] > 0 ->
#ifdef REFUSED_FORGOTTEN
			skip
#else
			purple = purple | BIT(x)
#endif
		:: IN(k, x) && rc[x] == 0 && SPECIAL(x) -> zeros = zeros | BIT(x)
		:: else -> pending = pending | BIT(x)
		fi);
#ifdef RECYCLER
	orange = 0;
	crc[1] = 0; crc[2] = 0;
#endif
	k = 0;
	drain()
}

/* The end of a set. k: what is freed. y: the members whose finalizers are to run, and what they
 * reach in it. */
inline die()
{
	find_reachable();
	assert((reach & set) == 0); /* nobody can reach any of it */
	reach = 0;
	k = set;
	died = died | set;
	set = 0;
	waits = false;
#ifdef RECYCLER
	orange = 0;
	crc[1] = 0; crc[2] = 0;
#endif
	cleared = cleared | (k & made);
	letting = letting | (k & made);
	armed = armed & ~k;
	knows[0] = knows[0] & armed;
	knows[1] = knows[1] & armed;
#ifdef LET_GO_AT_ONCE
	gone = gone | letting;
#endif
	y = k & final & ~finalized;
	queued = queued | y;
	left = (y != 0 -> EPOCHS : left);
#ifndef FINALIZED_TWICE
	finalized = finalized | y;
#endif
#ifdef FREED_BEFORE_FINALIZED
	y = 0;
#else
	EACH(x, 1, OBJECTS, rc[x] = rc[x] + IN(y, x));
	EACH(x, 1, OBJECTS, WHEN(IN(y, x), y = y | (BIT(HELD(x)) & k)));
	EACH(x, 1, OBJECTS, WHEN(IN(y, x), y = y | (BIT(HELD(x)) & k)));
#endif
	k = k & ~y;
	y = 0;
	EACH(x, 1, OBJECTS, WHEN(IN(k, x) && !IN(k, HELD(x)), decrement(HELD(x))));
	EACH(x, 1, OBJECTS, WHEN(IN(k, x), free_cell(x)));
	k = 0;
	drain()
}

#define LEADS(from, to) (HELD(from) == (to) && EDGE(from))

/* A zero, and what its release would free. */
inline gather_zero()
{
	EACH(x, 1, OBJECTS,
		if
		:: IN(zeros, x) && rc[x] > 0 ->
			/* It waited for another set, and was counted up meanwhile. */
			zeros = zeros & ~BIT(x);
			purple = purple | BIT(x)
		:: else
		fi);
	if
	:: zeros == 0
	:: else ->
		x = LOWEST(zeros);
		set = BIT(x);
		WHEN(LEADS(x, OTHER(x)) && rc[OTHER(x)] == 1, set = 6);
		zeros = zeros & ~set;
		purple = purple & ~set;
		x = 0
	fi
}

#define FREE_TO_TRY (6 & ~(freed | zeros))

/* Trial deletion, when all stands still: reach is what is GRAY at the end. x, y: trial counts. */
#define GRAY(from, to) (IN(reach, from) && LEADS(from, to))
inline trial()
{
	reach = purple & FREE_TO_TRY;
	WHEN(GRAY(1, 2), reach = reach | (4 & FREE_TO_TRY));
	WHEN(GRAY(2, 1), reach = reach | (2 & FREE_TO_TRY));
	x = rc[1] - LOOP(1) - GRAY(1, 1) - GRAY(2, 1);
	y = rc[2] - GRAY(1, 2) - GRAY(2, 2);
	WHEN(x > 0 && LEADS(1, 2), y = 1);
	WHEN(y > 0 && LEADS(2, 1), x = 1);
	reach = reach & ~((x > 0 -> BIT(1) : 0) | (y > 0 -> BIT(2) : 0));
	x = 0; y = 0
}

inline gather()
{
	trial();
	x = reach & purple;
	if
	:: x == 0
	:: else ->
		x = LOWEST(x);
		set = BIT(x) | (LEADS(x, OTHER(x)) -> reach & BIT(OTHER(x)) : 0)
	fi;
	reach = 0;
	x = 0
}

#ifdef RECYCLER
/* Sigma preparation: slots are read one at a time while mutators run. */
inline prepare()
{
	d_step {
		true;
		crc[1] = (IN(set, 1) -> rc[1] - LOOP(1) : 0);
		crc[2] = (IN(set, 2) -> rc[2] : 0);
		orange = set;
		x = (set == 0 -> OBJECTS + 1 : 1)
	}
	do
	:: atomic { x <= OBJECTS ->
		y = slot[x];
		if
		:: !IN(set, x) || y == 0 || !IN(set, y)
		:: else ->
			if
			:: crc[y] > 0 -> crc[y]--
			:: else -> orange = orange & ~BIT(y)
			fi
		fi;
		y = 0;
		x++ }
	:: atomic { x > OBJECTS -> x = 0; break }
	od
}
#else
#define prepare() true
#endif

#ifdef NO_WAIT
#define TO_ARM 0
#else
#define TO_ARM (set & made & ~cleared)
#endif

/* The group, and the first mark. */
inline arm()
{
	d_step {
		k = TO_ARM;
		y = LOWEST(k);
		EACH(x, 1, OBJECTS,
			WHEN(IN(k, x),
#ifdef GROUP_PER_CELL
				y = x;
#endif
				state[y] = PENDING;
				group[x] = y; of_set[x] = k));
		armed = armed | BIT(y);
		y = 0; k = 0;
		waits = true
	}
}

/* The second mark. */
#define GROUPED (set & ((group[1] != 0 -> 2 : 0) | (group[2] != 0 -> 4 : 0)))
inline arm_rest()
{
	do
	:: atomic { waits && (GROUPED & ~armed) != 0 -> armed = armed | GROUPED }
	:: else -> break
	od
}

/* One of two words. */
inline clear_first()
{
	do
	:: atomic { dead && TO_ARM == 6 -> cleared = cleared | 2 }
	:: else -> break
	od
}

/* The instant at which all cells of the set are null. */
inline commit(c)
{
	atomic {
		if
		:: !dead
		:: dead && state[c] == PENDING -> state[c] = DEAD
		:: else -> dead = false
		fi
	}
}

inline end_or_leave()
{
	atomic {
		if
		:: dead -> d_step { die() }
		:: else -> d_step { leave() }
		fi
	}
}

/* Any set that may pass the tests; when the mutators have stopped, one that a trial finds. */
inline find()
{
	if
	:: left == EPOCHS ->
		if
		:: true
		:: IN(FREE_TO_TRY, 1) -> set = 2
		:: IN(FREE_TO_TRY, 2) -> set = 4
		:: FREE_TO_TRY == 6 -> set = 6
		fi
	:: else -> d_step { gather() }
	fi;
#ifndef RECYCLER
	d_step {
		examine();
		set = (dead -> set : 0);
		dead = false
	}
#endif
	purple = purple & ~set
}

/* A set that is dead, but for loads of its cells. */
inline arm_or_end()
{
	atomic {
		if
		:: set == 0
		:: set != 0 && TO_ARM != 0 -> arm()
		:: else -> d_step { die() }
		fi
	}
}

proctype collector()
{
	byte x, y, k, r, left = EPOCHS;
	bool dead, sought;

boundary:
	atomic {
		phase[0] == CLOSED && phase[1] == CLOSED;
		d_step {
			left = (ALL_STOPPED -> left - 1 : EPOCHS);
			count()
		}
	}
	/* The set of the last epoch. */
	if
	:: atomic { set != 0 ->
		d_step { examine() }
		if
		:: dead && !waits -> arm_or_end(); dead = false
		:: !dead -> d_step { leave() }
		:: dead && waits
		fi }
	:: set == 0
	fi;
	if
	:: dead ->
#ifdef CLEAR_FIRST
		clear_first();
#endif
#ifdef GROUP_PER_CELL
		commit(LOWEST(set & armed));
		if
		:: (set & armed) == 6 -> commit(2)
		:: else
		fi;
#else
		commit(group[LOWEST(set & armed)]);
#endif
		clear_first();
		end_or_leave();
		dead = false
	:: else
	fi;
	/* The next one. */
	do
	:: set == 0 && zeros != 0 ->
		d_step { gather_zero() }
		prepare();
		arm_or_end()
	:: atomic { set == 0 && zeros == 0 && !sought -> sought = true; find() };
#ifdef RECYCLER
		prepare() /* it is judged after the next boundary */
#else
		arm_or_end()
#endif
	:: else -> break
	od;
	arm_rest();
	atomic {
		sought = false;
		if
		:: left == 0 -> goto over
		:: else
		fi;
		d_step {
#ifdef RECYCLER
			EACH(x, 1, OBJECTS,
				touch[x] = (touch[x] > OLD -> touch[x] - 1 : touch[x]));
#else
			written = written | ahead;
			ahead = 0;
			EACH(x, 0, OBJECTS, view[x] = 0);
#endif
			phase[0] = AT_WORK;
			phase[1] = AT_WORK
		}
	}
	goto boundary;
over:
	atomic {
		find_reachable();
		assert(((reach | freed) & 6) == 6) /* no garbage is left */
	}
}

/* Graphs to begin with, and who holds them: snapshots of the last boundary are counted. */
init
{
	byte k;

	atomic {
		if
		:: slot[1] = 2 /* dies by count */
		:: slot[1] = 2; slot[2] = 1 /* a ring */
#ifndef FINAL
		:: loop = true; slot[1] = 2
		:: loop = true; slot[2] = 1
#endif
		fi;
		if
		:: made = 2
		:: made = 4
#ifdef FINAL
		fi;
		if
		:: final = 2
		:: final = 4
		:: final = 6
#else
		:: made = 6
#endif
		fi;
		k = (slot[1] == 0 -> 2 : 1);
		if
		:: frame[1] = k
#ifndef FINAL
		:: slot[ROOT] = k
#endif
		fi;
		EACH(k, 0, OBJECTS, rc[slot[k]]++);
		rc[0] = 0;
		rc[1] = rc[1] + loop;
		EACH(k, 0, M - 1,
			counted[k] = BIT(frame[k]) & ~1;
			rc[frame[k]] = rc[frame[k]] + (frame[k] != 0);
			ops[k] = (k == 0 -> OPS : OTHER_OPS));
		rc[0] = 0;
#ifdef RECYCLER
		touch[1] = OLD; touch[2] = OLD;
#else
		EACH(k, 0, OBJECTS, value[k] = slot[k]);
#endif
		k = 0;
		run mutator(0);
		run mutator(1);
		run collector()
	}
}
