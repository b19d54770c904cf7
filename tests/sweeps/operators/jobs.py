"""How does a batch of jobs run in another interpreter, whose frameworks are imported once?

The worker's side is :func:`serve`, the sweep's is :func:`run`. Work that may crash is given to
:func:`serve` as ``partial(forked, work)``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

Job = tuple[str, ...]

PACKAGES_PARENT = Path(__file__).resolve().parent.parent.parent
"""What must be on the path of an environment's Python for ``-m sweeps.operators.…``."""

LONGEST_REASON = 200
TIMEOUT = 120.0


def serve(work: Callable[..., None]) -> None:
    """Answer every line of stdin with a line: nothing, or why the job failed."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what the frameworks print
    for line in sys.stdin:
        reason = ""
        try:
            work(*line.rstrip("\n").split("\t"))
        except BaseException as error:
            reason = f"{type(error).__name__}: {' '.join(str(error).split())[-LONGEST_REASON:]}"
        print(reason, file=answers)


def forked(work: Callable[..., None], *job: str) -> None:
    """Do a job in a child. Raises RuntimeError with its last words where it fails or crashes."""
    with tempfile.TemporaryFile("w+") as told:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                work(*job)
                code = 0
            except BaseException as error:
                told.write(f"{type(error).__name__}: {error}")
                told.flush()
            finally:
                os._exit(code)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        told.seek(0)
        if code != 0:
            raise RuntimeError(told.read() or f"crashed with signal {-code}")


def run(python: Path, module: str, jobs: Sequence[Job]) -> Iterator[tuple[Job, str]]:
    """Every job with "" or the reason of its failure; one that hangs ends them all."""
    environment = {**os.environ, "PYTHONPATH": str(PACKAGES_PARENT), "PYTHONDONTWRITEBYTECODE": "1"}
    process = subprocess.Popen(
        [str(python), "-m", module],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env=environment,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        for job in jobs:
            watch = threading.Timer(TIMEOUT, process.kill)
            watch.start()
            process.stdin.write("\t".join(job) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            watch.cancel()
            if not answer:
                raise RuntimeError(f"{python} -m {module} died or hung at {job}")
            yield job, answer.rstrip("\n")
    finally:
        process.kill()
        process.wait()
