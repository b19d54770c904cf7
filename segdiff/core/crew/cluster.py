"""Who works on a cluster? A Dask scheduler that runs already, and its workers, however many come and go.

The scheduler places the tasks, begins those anew whose worker was lost, and has a dashboard; none of that is
done again here. https://distributed.dask.org
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Literal

from segdiff.core.crew.told import Done, Failure, R, T, attempt, cores, failure_of
from segdiff.core.errors import EngineError, InputError
from segdiff.core.printable import clean
from segdiff.core.version import VERSION

if TYPE_CHECKING:
    from distributed import Client

RETRIES = 3
"""How often a task is begun anew that failed outside of itself: its result did not arrive, or could not be
read. Of a worker that is lost, the scheduler itself counts (``allowed-failures``, 3 where nobody sets it)."""

PATIENCE = 30.0
"""Seconds in which a scheduler has to answer."""

PRIVATE = ("KilledWorker", "FutureCancelledError", "CancelledError")
"""The errors by which the scheduler says that a task was given up with its workers."""


class Cluster:
    """The workers of a running Dask cluster; a context manager that is open while it is asked."""

    where: Literal["cluster"] = "cluster"

    def __init__(self, address: str) -> None:
        self.address = address
        self.client: Client = connected(address)
        try:
            self.workers, self.beside, self.threads = room_on(self.client)
        except BaseException:
            self.client.close()
            raise

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def run(
        self, task: Callable[[T], R], items: Iterable[T], leave: Callable[[], object] | None = None
    ) -> Generator[Done[R], None, None]:
        """Each item's task, as they end; see :class:`segdiff.core.crew.told.Crew`."""
        from distributed import as_completed

        run = uuid.uuid4().hex[:8]
        places = {}
        for number, item in enumerate(items):
            key = f"segdiff-{run}-{number}"
            future = self.client.submit(attempt, task, number, item, key=key, pure=False, retries=RETRIES)
            places[future] = number
        try:
            for future in as_completed(list(places), loop=self.client.loop):
                number = places.pop(future)
                yield ended(future, number)
                future.release()
        finally:
            if places:
                self.client.cancel(list(places), force=True)
            if leave is not None:
                with suppress(Exception):  # a worker that has gone holds nothing
                    self.client.run(leave, on_error="ignore")


def connected(address: str) -> Client:
    """A client of the scheduler at an address. Raises EngineError where none answers."""
    try:
        from distributed import Client
    except ImportError as error:
        raise EngineError(
            "a scheduler needs Dask, which is not installed here: pip install 'segdiff[dask]'"
        ) from error
    try:
        return Client(address, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError, TypeError, ImportError) as error:
        kind = InputError if isinstance(error, ValueError | TypeError) else EngineError
        raise kind(
            f"{address}: no Dask scheduler answers there ({clean(error, 200) or type(error).__name__}); its "
            "address looks like tcp://host:8786, and dask scheduler prints it"
        ) from error


def room_on(client: Client) -> tuple[int, int, int]:
    """How many tasks the workers do at a time, on one machine at the most, and how many cores each has.

    Waits for the first worker. Raises EngineError where one has no segdiff, or another version.
    """
    try:
        client.submit(version, pure=False).result()  # a cluster that adapts itself starts a worker for this
        versions = client.run(version)
        found: Mapping[str, int] = client.run(cores)
    except Exception as error:
        raise EngineError(
            f"the workers of the cluster cannot run segdiff {VERSION}: {clean(error, 300)}; install the same "
            "version there, with the frameworks that it runs"
        ) from error
    other = sorted({each for each in versions.values() if each != VERSION})
    if other:
        raise EngineError(
            f"the workers of the cluster have segdiff {', '.join(other)}, and this is {VERSION}; install the "
            "same version there"
        )
    told = client.scheduler_info(n_workers=-1)["workers"]
    at_a_time = {address: told[address]["nthreads"] for address in found if address in told}
    on_host: Counter[str] = Counter()
    for address, threads in at_a_time.items():
        on_host[told[address]["host"]] += threads
    free = [found[address] // on_host[told[address]["host"]] for address in at_a_time]
    return sum(at_a_time.values()) or 1, max(on_host.values(), default=1), max(1, min(free, default=1))


def version() -> str:
    """The version of segdiff where this is called."""
    return VERSION


def ended(future: Any, number: int) -> Done[Any]:
    """What came of a task, or how the cluster lost it."""
    try:
        done: Done[Any] = future.result()
    except Exception as error:
        if type(error).__name__ in PRIVATE:
            return Done(number, None, Failure("lost", type(error).__name__, clean(error, 500)))
        return Done(number, None, failure_of(error))
    return done
