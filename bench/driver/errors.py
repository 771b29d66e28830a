# SPDX-License-Identifier: BSD-2-Clause
"""What is the user's to put right: shown as one line, exit status 2."""


class BenchError(Exception):
    """Bad usage, or bad input."""
