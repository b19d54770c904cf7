"""Who does the work when there is much of it? This process, workers on this machine, or a Dask cluster.

A task is a function that can be pickled, and its item; what comes back is a :class:`Done` each, in the order
in which they end. A task that fails is told and ends nothing; one whose worker was lost is done again.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from segdiff.core.crew.cluster import Cluster
from segdiff.core.crew.here import Here
from segdiff.core.crew.local import Local
from segdiff.core.crew.told import Crew
from segdiff.core.errors import InputError

MOST_WORKERS = 256
"""Workers on one machine: a typing error is one more, and would fill its memory."""


@contextmanager
def crew_of(workers: int | None = None, scheduler: str | None = None) -> Iterator[Crew]:
    """Those who work: the cluster of a Dask ``scheduler`` (``tcp://host:8786``), so many ``workers`` on this
    machine, or, where neither is given, this process.

    Raises InputError where both are given or the number makes no sense, EngineError where no cluster answers.
    """
    if workers is not None and scheduler is not None:
        raise InputError("a cluster has its own workers; give workers or a scheduler, not both")
    if workers is not None and not (isinstance(workers, int) and 1 <= workers <= MOST_WORKERS):
        raise InputError(f"workers is a whole number from 1 to {MOST_WORKERS}, and {workers!r} is none")
    if scheduler is not None:
        with Cluster(scheduler) as cluster:
            yield cluster
    elif workers is None or workers == 1:
        yield Here()
    else:
        yield Local(workers)
