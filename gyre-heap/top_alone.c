/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * top_alone.c: gyre-top, the command gyre-heap top as a program of its own. One thread.
 */
#include "top.h"

int main(int argc, char **argv)
{
	return top_main(argc, argv);
}
