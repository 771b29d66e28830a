/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * harness.h: runs a misuse in a child and looks at how the child ended. The parent never opens a
 * heap and has one thread, so the fork is a plain one. In the child, everything runs on its main
 * thread unless the misuse is about threads.
 */
#ifndef GYRE_TESTS_DEATH_HARNESS_H
#define GYRE_TESTS_DEATH_HARNESS_H

#include "../support.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

typedef void (*death_fn)(struct world *w);

/* In the child. A misuse that is not noticed at all ends by exit status 0, a hang by SIGALRM. */
static inline void death_child(death_fn misuse, int error_pipe)
{
	struct gyre_options options;

	dup2(error_pipe, STDERR_FILENO);
	prctl(PR_SET_DUMPABLE, 0); /* the abort is expected: no core */
	signal(SIGABRT, SIG_DFL);
	alarm(300);
	gyre_options_init(&options);
	misuse(world_make(&options));
	_exit(0);
}

/* Runs misuse in a child; its stderr goes to text, the way it ended is the result. */
static inline int death_run(death_fn misuse, char *text, size_t bytes)
{
	size_t used = 0;
	ssize_t got;
	int ends[2], end = 0;
	pid_t child;

	expect(pipe(ends) == 0);
	fflush(NULL);
	child = fork();
	if (child == 0) {
		close(ends[0]);
		death_child(misuse, ends[1]);
	}
	expect(child > 0);
	close(ends[1]);
	while (used < bytes - 1 && (got = read(ends[0], text + used, bytes - 1 - used)) > 0)
		used += (size_t)got;
	text[used] = 0;
	close(ends[0]);
	expect(waitpid(child, &end, 0) == child);
	return end;
}

/* misuse must end by SIGABRT, with a line "gyre: misuse: " that contains word and perhaps more. */
static inline void death_expected_at(death_fn misuse, const char *name, const char *word,
				     const char *more, const char *file, int line)
{
	char text[8192];
	int end = death_run(misuse, text, sizeof(text));
	const char *said = strstr(text, "gyre: misuse: ");
	bool right = WIFSIGNALED(end) && WTERMSIG(end) == SIGABRT && said && strstr(said, word) &&
		     (!more || strstr(said, more));

	if (!right)
		fprintf(stderr,
			"%s:%d: %s: wanted SIGABRT and \"gyre: misuse: ... %s\"; "
			"ended by %s %d and said:\n%s\n",
			file, line, name, word, WIFSIGNALED(end) ? "signal" : "status",
			WIFSIGNALED(end) ? WTERMSIG(end) : WEXITSTATUS(end), text);
	support_expect(right, "the misuse ends the process with the right words", file, line);
}

#define death_expected(misuse, word, more) \
	death_expected_at((misuse), #misuse, (word), (more), __FILE__, __LINE__)

/* The twin of a death: the same without the mistake must not die. */
static inline void life_expected_at(death_fn use, const char *file, int line)
{
	char text[8192];
	int end = death_run(use, text, sizeof(text));

	if (!WIFEXITED(end) || WEXITSTATUS(end) != 0)
		fprintf(stderr, "%s:%d: sound use died: %s\n", file, line, text);
	support_expect(WIFEXITED(end) && WEXITSTATUS(end) == 0, "sound use lives", file, line);
}

#define life_expected(use) life_expected_at((use), __FILE__, __LINE__)

/* Runs the misuse of a thread that is not the mutator's own. */
struct death_other {
	struct world *w;
	gyre_ref *slot;
	const void *value;
	_Atomic(bool) stop;
};

#endif
