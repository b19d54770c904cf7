"""What if an engine dies in mid-run? Another one takes its place, so that what comes later is not lost."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from segdiff.core.edit import Edit
from segdiff.core.errors import EngineError
from segdiff.core.process import how_it_ended
from segdiff.core.quantised import Quantisation
from segdiff.engines.blocks import Tensor
from segdiff.engines.client import Engine
from segdiff.engines.protocol import Compared, Deployed, Part


@dataclass
class Revived:
    """An engine that is started again where its process is gone, as often as ``restarts_left`` says.

    ``restarted`` tells of each that was ended, and why.
    """

    start: Callable[[], Engine]
    engine: Engine
    restarts_left: int
    quantised: Mapping[str, Quantisation] = field(default_factory=dict)
    restarted: list[str] = field(default_factory=list)

    def revive(self) -> None:
        """Start the engine again where its process is gone, as often as is left."""
        if not self.engine.is_alive and self.restarts_left > 0:
            self.engine.close()
            self.engine = self.start()
            self.engine.quantised = self.quantised

    @property
    def goes_on(self) -> bool:
        """Whether it can be asked again: it is there, or another one would take its place."""
        return self.engine.is_alive or self.restarts_left > 0

    def living(self) -> Engine:
        """The engine, to ask it for what only it can do; another one where it has died meanwhile."""
        code = self.engine.child.wait(0)
        if code is not None and self.restarts_left > 0:
            ended = f"{self.engine.files.program}: {self.engine.name} {how_it_ended(code)}"
            self.restarted.append(self.engine.failure or ended)
            self.revive()
            self.restarts_left -= 1
        return self.engine


@dataclass
class Candidate(Revived):
    """The candidate's engine; it is started again when what was asked of it has brought it down."""

    restarts_left: int = 5

    def run(
        self,
        feeds: Mapping[str, Tensor],
        wanted: Iterable[str],
        ops: tuple[int, ...] | None = None,
        edits: tuple[Edit, ...] = (),
    ) -> dict[str, Tensor]:
        """Run some nodes, or all of them. Raises EngineError; the next call works again if that is possible.

        A change that is tried may bring the framework down: that is an answer, and such a restart is free.
        """
        try:
            return self.engine.run(feeds, wanted, ops, edits)
        except EngineError as error:
            self._after(error, free=bool(edits))
            raise

    def compared(self, parts: Sequence[Part[Tensor]]) -> list[dict[str, Compared]]:
        """The same for nodes as the file has them, where only that is asked how far what they make is from
        the truth. Raises EngineError.

        Where several bring the framework down together, nobody knows which it was: such a restart is free,
        for who did it will do it again when it is asked alone. A kill from outside is told of now.
        """
        try:
            return self.engine.compared(parts)
        except EngineError as error:
            self._after(error, free=len(parts) > 1 and not error.killed)
            raise

    def _after(self, error: EngineError, *, free: bool) -> None:
        if not error.died:
            return
        if not free or error.silent:
            self.restarts_left -= 1
            self.restarted.append(str(error))
        self.revive()


@dataclass
class Reference(Revived):
    """The reference's engine.

    What was done to it (a kill, no memory) costs nothing but time: another one goes on where it stood. What
    it did itself it would do again: a crash is raised, and the next call has another engine; after a hang
    there is none, or every further question could cost the user a timeout.
    """

    restarts_left: int = 2
    remembers: ClassVar[bool] = False  # whether a second run may be an earlier one's values

    def stream(self, feeds: Mapping[str, Tensor], wanted: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """Run it and yield the values wanted as they come, each once. Raises EngineError."""
        left = dict.fromkeys(wanted)
        while True:
            try:
                for name, tensor in self.engine.stream(feeds, left):
                    left.pop(name, None)
                    yield name, tensor
                return
            except EngineError as error:
                if not error.died:
                    raise
                going_on = self._went_on(error)
                if not (going_on and left):
                    raise

    def run_written(self, feeds: Mapping[str, Tensor], outputs: Iterable[str]) -> dict[str, Tensor]:
        """The model's outputs, by the names that the file gives them, from one run of the file itself, which
        cuts and shows nothing; where it does not run so, as :meth:`run` has them. Raises EngineError."""
        wanted = tuple(outputs)
        try:
            return self.engine.run_deployed(feeds, wanted, Deployed("none"))
        except EngineError as error:
            if error.died and not self._went_on(error):
                raise
        return self.run(feeds, wanted)

    def _went_on(self, error: EngineError) -> bool:
        """Whether another engine now stands where one has died that was not to blame."""
        if error.silent:
            self.restarts_left = 0
            return False
        if self.restarts_left <= 0:
            return False
        self.revive()
        self.restarts_left -= 1
        self.restarted.append(str(error))
        return error.killed

    def run(self, feeds: Mapping[str, Tensor], wanted: Iterable[str]) -> dict[str, Tensor]:
        """Run it and return all the values wanted at once. Raises EngineError."""
        return dict(self.stream(feeds, wanted))

    def repeated(self, feeds: Mapping[str, Tensor], wanted: Iterable[str]) -> Iterator[tuple[str, Tensor]]:
        """The values of a second run, to be compared with those of the first. Raises EngineError."""
        return self.stream(feeds, wanted)
