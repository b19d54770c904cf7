"""Which of the two sides run here, and of which is there only what a device has left behind?"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from segdiff.core.errors import InputError
from segdiff.core.files import ModelFiles
from segdiff.core.graph import Array, Graph
from segdiff.core.precision import SMALLEST_STEP, unit_of
from segdiff.core.progress import Progress
from segdiff.finding.side_by_side import candidate_files
from segdiff.inputs import Prepared, picture_input
from segdiff.readers import find
from segdiff.readers.dumps import read_dump
from segdiff.readers.dumps.looks import is_dump
from segdiff.walk.dump_check import CheckedDump, checked

if TYPE_CHECKING:
    import onnx


@dataclass(frozen=True)
class SidesAsked:
    """The files of both sides' models, the models as they were given, and the dumps that stand for what they
    compute."""

    files: tuple[ModelFiles, ModelFiles]
    models: tuple[Any, Any]
    reference_dump: Path | None = None
    candidate_dump: Path | None = None
    map_file: Path | None = None

    def read_candidate(
        self, graph: Graph, prepared: Prepared, image: object, progress: Progress
    ) -> CheckedDump | None:
        """The candidate's dump, every tensor of it looked at. Raises ModelError where none can be used.

        Of the results of many pictures it is those of ``image``, by its name; the sizes that the file leaves
        open are those of what is prepared.
        """
        if self.candidate_dump is None:
            return None
        dump = read_dump(
            self.candidate_dump,
            graph,
            map_file=self.map_file,
            sample=Path(image).name if isinstance(image, str | Path) else None,
            inputs=fed_shapes(prepared, graph),
        )
        quantised = frozenset(graph.quantised) - graph.parameters.keys()
        return checked(dump, lambda done, total: progress("dump_read", done, total), quantised)


def sides_asked(
    reference: str | Path | onnx.ModelProto,
    candidate: str | Path | onnx.ModelProto,
    reference_model: str | Path | onnx.ModelProto | None = None,
    candidate_model: str | Path | onnx.ModelProto | None = None,
    map_file: str | Path | None = None,
) -> SidesAsked:
    """What was asked for, by what the files are.

    With a ``…_model`` the side is a dump of that model. A dump of the very ONNX file that is the reference
    needs no second word. Raises InputError where a dump stands without the model that it was made of, and
    ModelError where a file cannot be read.
    """
    if candidate_model is None and is_dump(candidate):
        known = reference if reference_model is None else reference_model
        if is_dump(known) or find(known).format != "onnx":
            raise InputError(
                f"{candidate}: is no .onnx file; if a device has left it, name the file that the device ran: "
                "--candidate-model model.onnx (candidate_model=)"
            )
        candidate_model = known
    if reference_model is None and is_dump(reference):
        raise InputError(
            f"{reference}: holds no model; if it is a dump, name the model that it was made of: "
            "--reference-model deploy/ (reference_model=)"
        )
    if map_file is not None and candidate_model is None:
        raise InputError(f"{map_file}: a map goes with the dump of a device: name one as the candidate")
    ours = find(reference if reference_model is None else reference_model)
    theirs = candidate_files(candidate if candidate_model is None else candidate_model)
    return SidesAsked(
        (ours, theirs),
        (
            reference if reference_model is None else reference_model,
            candidate if candidate_model is None else candidate_model,
        ),
        None if reference_model is None else _place(reference),
        None if candidate_model is None else _place(candidate),
        None if map_file is None else Path(map_file),
    )


def _place(side: str | Path | onnx.ModelProto) -> Path:
    if not isinstance(side, str | Path):
        raise InputError("a dump is a folder or a file; with a model of its own this side must be one")
    return Path(side)


def fed_shapes(prepared: Prepared, graph: Graph) -> dict[str, tuple[int, ...]]:
    """The shapes that a graph's inputs are fed: by their names, or that of the picture where there is one."""
    shapes = {name: tensor.shape for name, tensor in prepared.tensors.items() if name in graph.inputs}
    if not shapes and len(graph.inputs) == 1:
        shapes[graph.inputs[0]] = prepared.tensors[picture_input(prepared)].shape
    return shapes


def own_input(dump: CheckedDump | None, prepared: Prepared, graph: Graph) -> Array | None:
    """What the device was fed, by its own dump, where the reference is fed another; None where it is the
    same, as far as the type that it is stored in can tell, or where the dump does not hold it."""
    if dump is None or len(graph.inputs) != 1 or graph.inputs[0] not in dump.dump.tensors:
        return None
    name = graph.inputs[0]
    array = dump.dump.tensors[name].load()
    wanted = prepared.tensors[picture_input(prepared)]
    array = array.astype(np.float32) if array.dtype.kind == "f" else array
    if array.shape == wanted.shape and array.dtype.kind == wanted.dtype.kind == "f":
        least = SMALLEST_STEP if dump.stored[name] == "float16" else np.finfo(np.float32).tiny
        coarse = 2 * unit_of(dump.stored[name]) * np.abs(wanted) + least
        if np.all(np.abs(array - wanted) <= coarse):
            return None
    return array
