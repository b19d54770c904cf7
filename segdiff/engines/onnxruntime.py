"""How does an ONNX model run, whole or in parts? The file itself, or what is cut out of it.

Lives in a worker process. What cuts takes as long to import as onnxruntime, and a file that is only run whole
does without: it is made ready where nodes will be asked for, or when they are.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import metadata
from typing import TYPE_CHECKING

import onnxruntime as ort

from segdiff.core.edit import Edit
from segdiff.core.graph import Array
from segdiff.engines.framework import Deliver, Nodes
from segdiff.engines.protocol import Deployed, Load
from segdiff.engines.whole import WholeFile

if TYPE_CHECKING:
    from segdiff.engines.parts import Parts


class OnnxRuntime:
    """A loaded ONNX model that runs whole, or any set of its nodes."""

    def __init__(self, message: Load) -> None:
        ort.set_default_logger_severity(4)
        self.message, self.program = message, message.files.program
        self.whole = WholeFile(self.program, message.threads)
        self.cutting = self._ready_to_cut() if message.cuts else None

    @property
    def parts(self) -> Parts:
        """What cuts nodes out and runs them."""
        if self.cutting is None:
            self.cutting = self._ready_to_cut()
        return self.cutting

    def _ready_to_cut(self) -> Parts:
        from segdiff.engines.parts import Parts

        message = self.message
        return Parts(self.program, message.threads, message.beside or message.threads)

    def versions(self) -> dict[str, str]:
        """The packages that compute, and their versions."""
        return {"onnxruntime": ort.__version__, "onnx": metadata.version("onnx")}

    def run(
        self,
        feeds: dict[str, Array],
        wanted: tuple[str, ...],
        ops: tuple[int, ...] | None,
        edits: tuple[Edit, ...],
        deliver: Deliver,
    ) -> None:
        """Run the nodes ``ops`` (or all of them, cut after cut) and deliver ``wanted``.

        ``edits`` go with ``ops``: they change those nodes for this one run.
        """
        self.whole.drop()
        self.parts.run(feeds, wanted, ops, edits, deliver)

    def run_together(self, parts: Sequence[Nodes], deliver: Deliver) -> None:
        """Run the nodes of each part on its feeds, in one session as far as they go into one."""
        self.whole.drop()
        self.parts.run_together(parts, deliver)

    def run_deployed(
        self, feeds: dict[str, Array], wanted: tuple[str, ...], how: Deployed, deliver: Deliver
    ) -> None:
        """Run the file itself, optimised. Its session is kept until anything else is run."""
        self._ready_for(how)
        self.whole.run(feeds, wanted, how, deliver)

    def prepare(self, how: Deployed | None) -> None:
        """Start the session, or get ready to cut."""
        if how is not None:
            self._ready_for(how)
        elif self.cutting is None:
            self.cutting = self._ready_to_cut()

    def _ready_for(self, how: Deployed) -> None:
        """Start the session; those of parts make room for it."""
        if self.cutting is not None and not self.whole.holds(how):
            self.cutting.sessions.clear()
        self.whole.session(how)
