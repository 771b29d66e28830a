/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top.h: gyre-heap top, for the table of commands. One thread.
 */
#ifndef GYRE_HEAP_TOP_H
#define GYRE_HEAP_TOP_H

/* argv[0] is the name of the command. Gives the exit status: 0, 1 (there is no heap to watch), 2
 * (usage). */
int top_main(int argc, char **argv);

#endif
