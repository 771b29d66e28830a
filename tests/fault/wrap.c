/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * wrap.c: refusing and counting what the library asks of the system, and bending its clock. See
 * wrap.h. Linked with --wrap for each function here; meson.build has the list.
 *
 * Invariants: a call is numbered once, before it is known whether it is refused; the clock moves
 * with the number of its readings, never with the time, so that a wait for it always ends.
 */
#include "wrap.h"

#include <errno.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#define SECOND ((int64_t)1000000000)
#define HOUR (3600 * SECOND)

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *block, size_t bytes);
void *__real_aligned_alloc(size_t align, size_t bytes);
char *__real_strdup(const char *text);
FILE *__real_fdopen(int fd, const char *mode);
void __real_free(void *block);
void *__real_mmap64(void *at, size_t bytes, int protection, int flags, int fd, long offset);
void *__real_mremap(void *old, size_t bytes, size_t wanted, int flags);
int __real_munmap(void *at, size_t bytes);
int __real_madvise(void *at, size_t bytes, int advice);
int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *arg);
int __real_pthread_join(pthread_t thread, void **result);
int __real_pthread_key_create(pthread_key_t *key, void (*ended)(void *));
int __real_pthread_key_delete(pthread_key_t key);
int __real_pthread_setspecific(pthread_key_t key, const void *value);
int __real_clock_gettime(clockid_t clock, struct timespec *now);
int __real_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
				  const struct timespec *until);
int __real_eventfd(unsigned value, int flags);

void *__wrap_malloc(size_t bytes);
void *__wrap_calloc(size_t count, size_t bytes);
void *__wrap_realloc(void *block, size_t bytes);
void *__wrap_aligned_alloc(size_t align, size_t bytes);
char *__wrap_strdup(const char *text);
FILE *__wrap_fdopen(int fd, const char *mode);
void __wrap_free(void *block);
void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int fd, long offset);
void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, long offset);
void *__wrap_mremap(void *old, size_t bytes, size_t wanted, int flags);
int __wrap_munmap(void *at, size_t bytes);
int __wrap_madvise(void *at, size_t bytes, int advice);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *arg);
int __wrap_pthread_join(pthread_t thread, void **result);
int __wrap_pthread_key_create(pthread_key_t *key, void (*ended)(void *));
int __wrap_pthread_key_delete(pthread_key_t key);
int __wrap_pthread_setspecific(pthread_key_t key, const void *value);
int __wrap_clock_gettime(clockid_t clock, struct timespec *now);
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
				  const struct timespec *until);
int __wrap_eventfd(unsigned value, int flags);

_Thread_local enum wrap_role wrap_role;

static struct {
	atomic_uint role, first, count, refused;
	atomic_uint calls[WRAP_ROLES];
	void (*_Atomic meanwhile)(void *arg);
	void *meanwhile_arg;
	atomic_uint meanwhile_at, meanwhile_role;
	atomic_bool refuse_discards;
	atomic_uint discards_refused;
	atomic_long blocks, bytes_mapped, keys, threads;
} all;

void wrap_refuse(enum wrap_role role, unsigned first, unsigned count)
{
	atomic_store(&all.count, 0);
	for (int i = 0; i < WRAP_ROLES; i++)
		atomic_store(&all.calls[i], 0);
	atomic_store(&all.refused, 0);
	atomic_store(&all.role, role);
	atomic_store(&all.first, first);
	atomic_store(&all.count, count);
}

void wrap_meanwhile(enum wrap_role role, unsigned n, void (*meanwhile)(void *arg), void *arg)
{
	wrap_refuse(role, 0, 0);
	atomic_store(&all.meanwhile_role, role);
	atomic_store(&all.meanwhile_at, n);
	all.meanwhile_arg = arg;
	atomic_store(&all.meanwhile, meanwhile);
}

void wrap_grant(void)
{
	atomic_store(&all.count, 0);
}

unsigned wrap_refused(void)
{
	return atomic_load(&all.refused);
}

unsigned wrap_calls(enum wrap_role role)
{
	return atomic_load(&all.calls[role]);
}

void wrap_refuse_discards(bool refuse)
{
	atomic_store(&all.refuse_discards, refuse);
}

unsigned wrap_discards_refused(void)
{
	return atomic_load(&all.discards_refused);
}

struct wrap_held wrap_held(void)
{
	return (struct wrap_held){ atomic_load(&all.blocks), atomic_load(&all.bytes_mapped),
				   atomic_load(&all.keys), atomic_load(&all.threads) };
}

/* A thread of the library's whose name ends as that of a finalizer thread does is one. */
static void find_role(void)
{
	static _Thread_local bool known;
	char name[16] = "";
	size_t length;

	if (known || wrap_role != WRAP_COLLECTOR)
		return;
	known = true;
	pthread_getname_np(pthread_self(), name, sizeof(name));
	length = strlen(name);
	if (length > 2 && strcmp(name + length - 2, "/f") == 0)
		wrap_role = WRAP_FINALIZER;
}

static bool refused(int error)
{
	void (*meanwhile)(void *arg);
	unsigned n;

	find_role();
	n = atomic_fetch_add(&all.calls[wrap_role], 1) + 1;
	if (atomic_load(&all.meanwhile) != NULL && wrap_role == atomic_load(&all.meanwhile_role) &&
	    n == atomic_load(&all.meanwhile_at)) {
		meanwhile = atomic_exchange(&all.meanwhile, NULL);
		meanwhile(all.meanwhile_arg);
	}
	if (wrap_role == WRAP_TEST || wrap_role != atomic_load(&all.role) ||
	    n < atomic_load(&all.first) || n - atomic_load(&all.first) >= atomic_load(&all.count))
		return false;
	atomic_fetch_add(&all.refused, 1);
	errno = error;
	return true;
}

static void *counted(void *block)
{
	if (block != NULL)
		atomic_fetch_add(&all.blocks, 1);
	return block;
}

void *__wrap_malloc(size_t bytes)
{
	return refused(ENOMEM) ? NULL : counted(__real_malloc(bytes));
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return refused(ENOMEM) ? NULL : counted(__real_calloc(count, bytes));
}

void *__wrap_realloc(void *block, size_t bytes)
{
	void *moved;

	if (refused(ENOMEM))
		return NULL;
	moved = __real_realloc(block, bytes);
	return block == NULL ? counted(moved) : moved;
}

void *__wrap_aligned_alloc(size_t align, size_t bytes)
{
	return refused(ENOMEM) ? NULL : counted(__real_aligned_alloc(align, bytes));
}

char *__wrap_strdup(const char *text)
{
	return refused(ENOMEM) ? NULL : counted(__real_strdup(text));
}

/* Not counted: it is given back inside the C library. */
FILE *__wrap_fdopen(int fd, const char *mode)
{
	return refused(ENOMEM) ? NULL : __real_fdopen(fd, mode);
}

void __wrap_free(void *block)
{
	if (block != NULL)
		atomic_fetch_sub(&all.blocks, 1);
	__real_free(block);
}

void *__wrap_mmap64(void *at, size_t bytes, int protection, int flags, int fd, long offset)
{
	void *mapped;

	if (refused(ENOMEM))
		return MAP_FAILED;
	mapped = __real_mmap64(at, bytes, protection, flags, fd, offset);
	if (mapped != MAP_FAILED)
		atomic_fetch_add(&all.bytes_mapped, (long)bytes);
	return mapped;
}

void *__wrap_mmap(void *at, size_t bytes, int protection, int flags, int fd, long offset)
{
	return __wrap_mmap64(at, bytes, protection, flags, fd, offset);
}

void *__wrap_mremap(void *old, size_t bytes, size_t wanted, int flags)
{
	void *mapped;

	if (refused(ENOMEM))
		return MAP_FAILED;
	mapped = __real_mremap(old, bytes, wanted, flags);
	if (mapped != MAP_FAILED)
		atomic_fetch_add(&all.bytes_mapped, (long)wanted - (long)bytes);
	return mapped;
}

int __wrap_munmap(void *at, size_t bytes)
{
	int failed = __real_munmap(at, bytes);

	if (failed == 0)
		atomic_fetch_sub(&all.bytes_mapped, (long)bytes);
	return failed;
}

int __wrap_madvise(void *at, size_t bytes, int advice)
{
	if (advice == MADV_DONTNEED && atomic_load(&all.refuse_discards)) {
		atomic_fetch_add(&all.discards_refused, 1);
		errno = EINVAL;
		return -1;
	}
	return __real_madvise(at, bytes, advice);
}

int __wrap_eventfd(unsigned value, int flags)
{
	if (!refused(EMFILE))
		return __real_eventfd(value, flags);
	return -1;
}

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
			  void *arg)
{
	int error = refused(EAGAIN) ? EAGAIN : __real_pthread_create(thread, attributes, run, arg);

	if (error == 0)
		atomic_fetch_add(&all.threads, 1);
	return error;
}

bool wrap_thread(pthread_t *thread, void *(*run)(void *), void *arg)
{
	atomic_fetch_add(&all.threads, 1);
	return __real_pthread_create(thread, NULL, run, arg) == 0;
}

int __wrap_pthread_join(pthread_t thread, void **result)
{
	atomic_fetch_sub(&all.threads, 1);
	return __real_pthread_join(thread, result);
}

int __wrap_pthread_key_create(pthread_key_t *key, void (*ended)(void *))
{
	int error = refused(EAGAIN) ? EAGAIN : __real_pthread_key_create(key, ended);

	if (error == 0)
		atomic_fetch_add(&all.keys, 1);
	return error;
}

int __wrap_pthread_key_delete(pthread_key_t key)
{
	atomic_fetch_sub(&all.keys, 1);
	return __real_pthread_key_delete(key);
}

int __wrap_pthread_setspecific(pthread_key_t key, const void *value)
{
	/* Taking a value away needs no memory. */
	if (value != NULL && refused(ENOMEM))
		return ENOMEM;
	return __real_pthread_setspecific(key, value);
}

/* The clock. Its offset is what it is ahead of the true one; while it stands still, the offset
 * shrinks as the true one goes on. */
static struct {
	pthread_mutex_t lock;
	enum wrap_clock kind;
	uint64_t random;
	int64_t offset, stopped_at;
	unsigned readings_left; /* until the next change */
	unsigned changes;
} bent = { .lock = PTHREAD_MUTEX_INITIALIZER };

static uint64_t random_next(void)
{
	bent.random ^= bent.random << 13;
	bent.random ^= bent.random >> 7;
	bent.random ^= bent.random << 17;
	return bent.random;
}

void wrap_set_clock(enum wrap_clock kind, uint64_t seed)
{
	pthread_mutex_lock(&bent.lock);
	/* Never back to the true time: that would be a step back for all kinds. */
	if (bent.offset == 0)
		bent.offset = 1000 * HOUR;
	bent.kind = kind;
	bent.random = seed | 1;
	bent.stopped_at = 0;
	bent.readings_left = 1;
	bent.changes = 0;
	pthread_mutex_unlock(&bent.lock);
}

unsigned wrap_clock_changes(void)
{
	unsigned changes;

	pthread_mutex_lock(&bent.lock);
	changes = bent.changes;
	pthread_mutex_unlock(&bent.lock);
	return changes;
}

/* The next change, at the true time now. */
static void bend(int64_t now)
{
	int64_t hours = (int64_t)(random_next() % 5) + 1;

	bent.changes++;
	bent.readings_left = (unsigned)(random_next() % 200) + 1;
	if (bent.stopped_at != 0) {
		bent.offset = bent.stopped_at - now;
		bent.stopped_at = 0;
	} else if (bent.kind == WRAP_STOPS && bent.changes % 2 == 0) {
		bent.stopped_at = now + bent.offset;
	} else if (bent.kind == WRAP_BACK && bent.changes % 2 == 0 &&
		   bent.offset > (hours + 1) * HOUR) {
		bent.offset -= hours * HOUR;
	} else {
		bent.offset += hours * HOUR;
	}
}

static int64_t bent_now(void)
{
	struct timespec real;
	int64_t now;

	__real_clock_gettime(CLOCK_MONOTONIC, &real);
	now = real.tv_sec * SECOND + real.tv_nsec;
	pthread_mutex_lock(&bent.lock);
	if (bent.kind != WRAP_TRUE && --bent.readings_left == 0)
		bend(now);
	now = bent.stopped_at != 0 ? bent.stopped_at : now + bent.offset;
	pthread_mutex_unlock(&bent.lock);
	return now;
}

int __wrap_clock_gettime(clockid_t clock, struct timespec *now)
{
	int64_t at;

	if (clock != CLOCK_MONOTONIC)
		return __real_clock_gettime(clock, now);
	at = bent_now();
	now->tv_sec = at / SECOND;
	now->tv_nsec = at % SECOND;
	return 0;
}

/* The kernel's clock knows nothing of ours: waits for a millisecond at a time and looks. */
int __wrap_pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
				  const struct timespec *until)
{
	const int64_t end = until->tv_sec * SECOND + until->tv_nsec;
	struct timespec piece;
	int error = ETIMEDOUT;
	bool truly;

	pthread_mutex_lock(&bent.lock);
	truly = bent.offset == 0;
	pthread_mutex_unlock(&bent.lock);
	if (truly)
		return __real_pthread_cond_timedwait(condition, mutex, until);
	while (error == ETIMEDOUT && bent_now() < end) {
		__real_clock_gettime(CLOCK_MONOTONIC, &piece);
		piece.tv_nsec += SECOND / 1000;
		if (piece.tv_nsec >= SECOND) {
			piece.tv_nsec -= SECOND;
			piece.tv_sec++;
		}
		error = __real_pthread_cond_timedwait(condition, mutex, &piece);
	}
	return error;
}
