"""Where the process runs: what its unit has left undone for speed, in words for the log.

Looks only. Pinning and priority belong to systemd, whose sandbox keeps the process from changing
either.
"""

import os

_REALTIME = (os.SCHED_FIFO, os.SCHED_RR)


def advice() -> list[str]:
    """What is missing, a line each with what to do about it; none where nothing is."""
    found = []
    allowed, all_cores = len(os.sched_getaffinity(0)), os.cpu_count() or 1
    if allowed == all_cores > 1:
        found.append(
            f"not pinned: may run on {allowed} of {all_cores} cores, and loses its caches when it "
            "is moved; give it cores of its own with CPUAffinity= in the unit"
        )
    realtime = os.sched_getscheduler(0) in _REALTIME
    nice = os.getpriority(os.PRIO_PROCESS, 0)
    if not realtime and nice >= 0:
        found.append(
            f"not elevated: nice {nice}, so that any other process may take its core; set Nice=-10 "
            "or CPUSchedulingPolicy=fifo in the unit"
        )
    return found


def spin_advice() -> list[str]:
    """The same for a loop that never sleeps: whether it leaves a core to anybody else."""
    if (os.cpu_count() or 1) > 1:
        return []
    return [
        'spinning on the machine\'s only core: node and kernel wait for it; use loop.mode = "wait"'
    ]
