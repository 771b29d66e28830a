/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * list.c: the workloads there are, in the order of tables.
 */
#include "worker.h"

extern const struct bench_workload bench_churn;
extern const struct bench_workload bench_rings;
extern const struct bench_workload bench_stores4k;
extern const struct bench_workload bench_stores1m;
extern const struct bench_workload bench_trees;
extern const struct bench_workload bench_ggauss;
extern const struct bench_workload bench_chains;
extern const struct bench_workload bench_paced;
extern const struct bench_workload bench_flatout;
extern const struct bench_workload bench_lru;
extern const struct bench_workload bench_hubs;
extern const struct bench_workload bench_rewrite;
extern const struct bench_workload bench_parked;
extern const struct bench_workload bench_heap_debian;
extern const struct bench_workload bench_heap_cpython;
extern const struct bench_workload bench_weak;
extern const struct bench_workload bench_bytes;
extern const struct bench_workload bench_journals;

const struct bench_workload *const bench_workloads[] = {
	&bench_churn,
	&bench_rings,
	&bench_stores4k,
	&bench_stores1m,
	&bench_trees,
	&bench_ggauss,
	&bench_chains,
	&bench_paced,
	&bench_flatout,
	&bench_lru,
	&bench_hubs,
	&bench_rewrite,
	&bench_parked,
	&bench_heap_debian,
	&bench_heap_cpython,
	&bench_weak,
	&bench_bytes,
	&bench_journals,
	NULL,
};
