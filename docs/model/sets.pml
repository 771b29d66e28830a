/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * sets.pml: journals that are counted an epoch late, and the sigma and delta tests that judge
 * candidate sets. Two mutators, three objects of one slot each, one root, and the collector.
 *
 * Follows runtime/slot.c, collector/count.c, set.c and verdict.c. While the mutators run, any set
 * of objects may be a candidate, and any two: what trial deletion could find beside them is among
 * these, so the tests alone must keep live objects. Each read of a slot in sigma preparation is a
 * step of its own. When the mutators have stopped, a trial from all purple objects finds the sets,
 * and a few epochs later all garbage must be gone.
 *
 * The boundary itself is one step for each mutator: boundary.pml looks into that. README.md says
 * what else is left out. -DNAME of the lines below builds a twin, which must fail.
 */

#ifndef OPS
#define OPS 3 /* loads and stores of mutator 0 */
#endif
#ifndef OTHER_OPS
#define OTHER_OPS 1 /* and of mutator 1 */
#endif
#ifndef SETS
#define SETS 2 /* found while the mutators run */
#endif
#ifndef EPOCHS
#define EPOCHS 3 /* that open after the mutators have stopped, until garbage is gone */
#endif

#define M 2
#define OBJECTS 3
#define ROOT 0 /* slot 0 is the root, slot o is object o's */

#define BIT(o) (1 << (o))
#define IN(mask, o) (((mask) >> (o)) & 1)

/* The heap, and what each mutator holds: its frame, and a value between a load and a store. */
byte slot[OBJECTS + 1];
byte frame[M], value[M], ops[M];
bool stopped[M];
byte freed;

/* Journals: for each mutator the open one; for the collector what was sealed in this epoch and in
 * the one before. Increments and decrements are kept by object, and so are snapshots. */
byte up[8], down[8]; /* 4 * mutator + object */
byte sealed_up[4], sealed_down[4], late_down[4];
bool due[M]; /* the boundary */

/* Collector words. */
byte rc[4], crc[4];
byte orange, purple, released, pending, red;
byte set[2]; /* found in this order */

/* Object 3 may have a second slot that refers to itself for ever. */
bool loop;
#define LOOP(x) (loop && (x) == 3)

byte reach;

inline find_reachable()
{
	reach = BIT(slot[ROOT]) | BIT(frame[0]) | BIT(frame[1]) | BIT(value[0]) | BIT(value[1]);
	k = 0;
	do
	:: k < OBJECTS ->
		o = 1;
		do
		:: o <= OBJECTS ->
			if
			:: IN(reach, o) -> reach = reach | BIT(slot[o])
			:: else
			fi;
			o++
		:: else -> break
		od;
		k++
	:: else -> break
	od
}

/* A reference that a mutator comes by. */
#define TAKEN(v) assert(!IN(freed, v) || (v) == 0)

inline record(m, old, new)
{
	if
	:: new != 0 -> up[4 * m + new]++
	:: else
	fi;
	if
	:: old != 0 -> down[4 * m + old]++
	:: else
	fi
}

inline store(m, to, new)
{
	d_step {
		was = slot[to];
		slot[to] = new;
		record(m, was, new);
		was = 0;
		ops[m]--
	}
}

inline seal(m)
{
	d_step {
		o = 1;
		do
		:: o <= OBJECTS ->
			sealed_up[o] = sealed_up[o] + up[4 * m + o];
			sealed_down[o] = sealed_down[o] + down[4 * m + o];
			up[4 * m + o] = 0; down[4 * m + o] = 0;
			o++
		:: else -> break
		od;
		o = 0;
#ifndef SNAPSHOT_LEFT_OUT
		/* What the frame holds counts 1 in this epoch; it is taken back in the next. */
		if
		:: frame[m] != 0 ->
			sealed_up[frame[m]]++;
			sealed_down[frame[m]]++
		:: else
		fi;
#endif
		due[m] = false
	}
}

proctype mutator(byte m)
{
	byte was, o;

end:	do
	:: due[m] -> seal(m)
	/* Loads into the frame. */
	:: atomic { ops[m] > 0 && slot[ROOT] != frame[m] ->
		frame[m] = slot[ROOT]; TAKEN(frame[m]); ops[m]-- }
	:: atomic { ops[m] > 0 && frame[m] != 0 && slot[frame[m]] != frame[m] ->
		frame[m] = slot[frame[m]]; TAKEN(frame[m]); ops[m]-- }
	/* Stores. */
#ifdef STORE_WITHOUT_EXCHANGE
	:: atomic { ops[m] > 0 -> was = slot[ROOT] };
		atomic {
			slot[ROOT] = frame[m];
			record(m, was, frame[m]);
			was = 0;
			ops[m]--
		}
#else
	:: atomic { ops[m] > 0 -> store(m, ROOT, frame[m]) }
#endif
	:: atomic { ops[m] > 0 -> store(m, ROOT, 0) }
	:: atomic { ops[m] > 0 && frame[m] != 0 -> store(m, frame[m], 0) }
	/* Between the load and the store of this one others go on, but not a safe point. */
	:: atomic { ops[m] > 0 && frame[m] != 0 && slot[ROOT] != 0 ->
		value[m] = slot[ROOT]; TAKEN(value[m]) };
		atomic {
			store(m, frame[m], value[m]);
			value[m] = 0
		}
	:: atomic { ops[m] == 0 && !stopped[m] ->
		frame[m] = 0;
		stopped[m] = true
	   }
	od
}

inline free_cell(x)
{
	find_reachable();
	assert(!IN(reach, x)); /* what is freed is garbage */
	reach = 0;
	freed = freed | BIT(x);
	slot[x] = 0;
	rc[x] = 0; crc[x] = 0;
	purple = purple & ~BIT(x); orange = orange & ~BIT(x)
}

inline release(x)
{
	released = released | BIT(x);
	pending = pending | BIT(x);
	purple = purple & ~BIT(x); orange = orange & ~BIT(x)
}

inline decrement(x)
{
	assert(!IN(freed | released, x));
	assert(rc[x] > 0);
	rc[x]--;
	orange = orange & ~BIT(x);
	if
	:: rc[x] == 0 -> release(x)
	:: else -> purple = purple | BIT(x)
	fi
}

inline increment(x)
{
	assert(!IN(freed | released, x));
	rc[x]++;
	orange = orange & ~BIT(x)
}

inline drain()
{
	x = 1;
	do
	:: x <= OBJECTS && IN(pending, x) ->
		pending = pending & ~BIT(x);
		y = slot[x];
		if
		:: y != 0 -> decrement(y)
		:: else
		fi;
		if
		:: !IN(set[0] | set[1], x) -> free_cell(x)
		:: else
		fi;
		x = 1
	:: x <= OBJECTS && !IN(pending, x) -> x++
	:: else -> break
	od;
	x = 0; y = 0
}

/* Increments of this epoch, then decrements of the one before. */
inline count()
{
	x = 1;
	do
	:: x <= OBJECTS ->
		do
		:: sealed_up[x] > 0 -> increment(x); sealed_up[x]--
		:: else -> break
		od;
#ifdef DECREMENTS_AT_ONCE
		late_down[x] = sealed_down[x];
		sealed_down[x] = 0;
#endif
		x++
	:: else -> break
	od;
	x = 1;
	do
	:: x <= OBJECTS ->
		do
		:: late_down[x] > 0 -> decrement(x); late_down[x]--
		:: else -> break
		od;
		late_down[x] = sealed_down[x];
		sealed_down[x] = 0;
		x++
	:: else -> break
	od;
	drain()
}

inline free_set(n)
{
	x = 1;
	do
	:: x <= OBJECTS ->
		y = slot[x];
		if
		:: !IN(set[n], x) || y == 0 || IN(set[n], y)
		:: else ->
			if
			:: IN(set[1 - n] & orange, y) ->
				assert(rc[y] > 0);
				rc[y]--;
				if
				:: crc[y] > 0 -> crc[y]--
				:: else
				fi
			:: else -> decrement(y)
			fi
		fi;
		x++
	:: else -> break
	od;
	red = set[n];
	set[n] = 0;
	x = 1;
	do
	:: x <= OBJECTS ->
		if
		:: IN(red, x) ->
			released = released | BIT(x);
			free_cell(x)
		:: else
		fi;
		x++
	:: else -> break
	od;
	red = 0; x = 0; y = 0
}

/* A member leaves a refused set, and then all that it reaches. */
inline leave(n, x)
{
	set[n] = set[n] & ~BIT(x);
	orange = orange & ~BIT(x);
	crc[x] = 0;
	if
	:: IN(released, x) -> free_cell(x)
	:: else ->
		if
		:: rc[x] == 0 -> release(x)
		:: else -> red = red | BIT(x) /* its references are to be followed */
		fi
	fi
}

inline refuse(n)
{
	drain();
	k = set[n];
	x = 1;
	do
	:: x <= OBJECTS ->
		if
		:: IN(k, x) && (!IN(orange, x) || crc[x] != 0) ->
			if
			:: !IN(released, x) && rc[x] > 0 -> purple = purple | BIT(x)
			:: else
			fi;
			leave(n, x)
		:: else
		fi;
		x++
	:: else -> break
	od;
	x = 1;
	do
	:: x <= OBJECTS && IN(red, x) ->
		red = red & ~BIT(x);
		y = slot[x];
		if
		:: IN(set[n], y) -> leave(n, y)
		:: else
		fi;
		x = 1
	:: x <= OBJECTS && !IN(red, x) -> x++
	:: else -> break
	od;
	x = 0; y = 0; k = 0
}

inline judge_one(n)
{
	if
	:: set[n] == 0
	:: else ->
		x = 1;
		explained = true;
		do
		:: x <= OBJECTS ->
			explained = explained && (!IN(set[n], x) || crc[x] == 0);
			x++
		:: else -> break
		od;
		x = 0;
#ifdef NO_SIGMA
		explained = true;
#endif
		if
#ifndef NO_DELTA
		:: (set[n] & orange) != set[n] -> refuse(n)
#endif
		:: else ->
			if
			:: explained -> free_set(n)
			:: !explained && !carried -> refuse(n)
			:: else
			fi
		fi;
		explained = false;
		carried = carried || set[n] != 0
	fi
}

inline judge()
{
#ifdef FIRST_TO_LAST
	judge_one(0);
	judge_one(1);
#else
	judge_one(1);
	judge_one(0);
#endif
	carried = false;
	drain();
	if
	:: set[0] == 0 -> set[0] = set[1]; set[1] = 0
	:: else
	fi
}

/* Sigma preparation: slots are read one at a time while mutators run. */
inline prepare(n)
{
	d_step {
		red = set[n] & ~released;
		x = 1;
		do
		:: x <= OBJECTS ->
			if
			:: IN(red, x) -> crc[x] = rc[x] - LOOP(x); orange = orange | BIT(x)
			:: else
			fi;
			x++
		:: else -> break
		od;
		x = 1
	}
	do
	:: atomic { x <= OBJECTS && IN(red, x) ->
		y = slot[x];
		assert(!IN(freed, y) || y == 0); /* the collector touches nothing that is freed */
		if
		:: y == 0 || !IN(red, y)
		:: else ->
			if
			:: crc[y] > 0 -> crc[y]--
			:: else -> orange = orange & ~BIT(y)
			fi
		fi;
		y = 0;
		x++ }
	:: atomic { x <= OBJECTS && !IN(red, x) -> x++ }
	:: atomic { x > OBJECTS -> red = 0; x = 0; break }
	od
}

#define FREE_TO_TRY (14 & ~(freed | released | set[0] | set[1]))

/* While mutators run: any set. */
inline any_set(n)
{
	x = 1;
	do
	:: x <= OBJECTS && IN(FREE_TO_TRY, x) -> set[n] = set[n] | BIT(x); x++
	:: x <= OBJECTS -> x++
	:: x > OBJECTS -> break
	od;
	x = 0
}

/* Once for each of OBJECTS * OBJECTS rounds, which is enough for a closure: x. */
#define ROUNDS(body) \
	k = 0; \
	do \
	:: k < OBJECTS * OBJECTS -> \
		x = k % OBJECTS + 1; \
		if \
		:: body \
		:: else \
		fi; \
		k++ \
	:: else -> break \
	od; \
	k = 0; \
	x = 0

/* Trial deletion, when all stands still: what is left in reach is GRAY at the end. */
inline trial()
{
	reach = purple & FREE_TO_TRY;
	ROUNDS(IN(reach, x) && IN(FREE_TO_TRY, slot[x]) -> reach = reach | BIT(slot[x]));
	x = 1;
	do
	:: x <= OBJECTS ->
		if
		:: IN(reach, x) -> crc[x] = rc[x] - LOOP(x)
		:: else
		fi;
		x++
	:: else -> break
	od;
	x = 1;
	do
	:: x <= OBJECTS ->
		if
		:: IN(reach, x) && IN(reach, slot[x]) && crc[slot[x]] > 0 -> crc[slot[x]]--
		:: else
		fi;
		x++
	:: else -> break
	od;
	ROUNDS(IN(reach, x) && crc[x] > 0 ->
		reach = reach & ~BIT(x);
		if
		:: IN(reach, slot[x]) -> crc[slot[x]] = 1
		:: else
		fi)
}

/* A set: a root that is GRAY, any of them, and what it leads to. */
inline gather(n)
{
	if
	:: IN(reach & purple, 1) -> set[n] = BIT(1)
	:: IN(reach & purple, 2) -> set[n] = BIT(2)
	:: IN(reach & purple, 3) -> set[n] = BIT(3)
	:: !(reach & purple)
	fi;
	ROUNDS(IN(set[n], x) && IN(reach, slot[x]) -> set[n] = set[n] | BIT(slot[x]));
	reach = 0;
	x = 1;
	do
	:: x <= OBJECTS ->
		if
		:: !IN(set[1 - n], x) -> crc[x] = 0
		:: else
		fi;
		x++
	:: else -> break
	od;
	x = 0
}

proctype collector()
{
	byte x, y, k, o, n, left = EPOCHS, sets = SETS;
	bool explained, carried;

	do
	:: atomic {
		left > 0;
		if
		:: stopped[0] && stopped[1] -> left--
		:: else
		fi;
		due[0] = true; due[1] = true
	   };
		atomic {
			!due[0] && !due[1];
			d_step { count(); judge() }
		};
		n = 0;
		do
		:: n < 2 && set[n] != 0 -> prepare(n); n++ /* carried over */
		:: n < 2 && set[n] == 0 ->
			atomic {
				if
				:: left == EPOCHS && sets > 0 ->
					any_set(n);
					sets = sets - (set[n] != 0)
				:: left == EPOCHS && sets == 0
				:: left < EPOCHS -> d_step { trial() }; gather(n)
				fi
			};
			if
			:: set[n] != 0 -> prepare(n); n++
			:: else -> n = 2
			fi
		:: else -> break
		od;
		n = 0
	:: atomic { left == 0 -> break }
	od;
	atomic {
		find_reachable();
		assert(((reach | freed) & 14) == 14) /* no garbage is left */
	}
}

/* The graphs to begin with, all held by the root. */
init
{
	byte o;

	atomic {
		if
		:: slot[ROOT] = 1; slot[1] = 2; slot[2] = 3; slot[3] = 1 /* a ring */
		:: slot[ROOT] = 3; slot[1] = 2; slot[2] = 1; slot[3] = 1;
			loop = true /* one behind another */
		fi;
		o = 0;
		do
		:: o <= OBJECTS -> rc[slot[o]]++; o++
		:: else -> break
		od;
		rc[0] = 0;
		rc[3] = rc[3] + loop;
		o = 0;
		do
		:: o < M ->
			ops[o] = (o == 0 -> OPS : OTHER_OPS);
			o++
		:: else -> break
		od;
		o = 0;
		run mutator(0);
		run mutator(1);
		run collector()
	}
}
