# SPDX-License-Identifier: BSD-2-Clause
"""The driver of gyre's benchmarks: what bench/gyre-bench is made of.

Nothing here measures. A worker, one process for each cell, does; the driver says which cell runs
when, keeps what the workers print, and makes tables, pages and comparisons of it.

    catalog   managers, workloads and metrics: what their figures mean
    matrix    the cells of a run and the order in which they run
    machine   what the run was made on
    run       one cell as a process, and all cells in rounds
    results   the JSON file: written, read, checked
    stats     medians, quartiles, ratios by rounds, tests
    summary   from the samples to the figures that all tables and plots show
    goals     the goals of the default engine
    tables    plain text and Markdown
    svg       drawings
    plots     the plots of a report
    report    the page
    compare   two runs
    cli       the commands
"""
