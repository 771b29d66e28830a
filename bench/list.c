/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list.c: the workloads there are, in the order of tables.
 */
#include "worker.h"

extern const struct bench_workload bench_churn, bench_rings, bench_stores4k, bench_stores1m,
	bench_trees, bench_ggauss, bench_chains, bench_paced, bench_flatout,
	bench_lru;

const struct bench_workload *const bench_workloads[] = {
	&bench_churn, &bench_rings, &bench_stores4k, &bench_stores1m,
	&bench_trees, &bench_ggauss, &bench_chains, &bench_paced, &bench_flatout, &bench_lru, NULL,
};
