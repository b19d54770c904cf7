"""Forms 3 and 4: results without a header, and the JSON of Polygraphy and trtexec."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from segdiff.core.graph import Graph
from tests.dumps.names import safe

Array = NDArray[Any]


def as_device(array: Array, half: bool = False) -> Array:
    """The numbers that a device knows: int32 for int64, half precision where it was asked for."""
    if array.dtype == np.int64:
        return array.astype(np.int32)
    return array.astype(np.float16) if half and array.dtype == np.float32 else array


def write_ais_bench(
    folder: Path,
    graph: Graph,
    results: Mapping[str, Mapping[str, Array]],
    *,
    form: str = "bin",
    half: bool = False,
    summary: bool = True,
    first: int = 0,
) -> list[Path]:
    """The outputs of every input (``results``: name of the input -> value -> array) as ais_bench leaves them,
    with the summary beside the folder; ``first=1`` is the older ``benchmark``."""
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    infos = {}
    for number, (stem, values) in enumerate(results.items()):
        names = []
        for place, name in enumerate(graph.outputs):
            array = as_device(values[name], half)
            file = folder / f"{stem}_{place + first}.{form}"
            if form == "npy":
                np.save(file, array)
            elif form == "txt":
                file.write_text(" ".join(f"{value:.9g}" for value in array.reshape(-1)))
            else:
                file.write_bytes(array.tobytes())
            names.append(f"/home/somebody/out/{file.name}")
            files.append(file)
        infos[str(number)] = {"infiles": [f"/home/somebody/{stem}.bin"], "outfiles": names}
    if summary:
        content = {"filesinfo": infos, "NPU_compute_time": {"mean": 1.0}}
        (folder.parent / f"{folder.name}_summary.json").write_text(json.dumps(content))
    return files


def write_qnn(folder: Path, values: Mapping[str, Array]) -> list[Path]:
    """``Result_0/{tensor}.raw``, all in float32."""
    (folder / "Result_0").mkdir(parents=True, exist_ok=True)
    files = []
    for name, array in values.items():
        stem = safe(name)
        file = folder / "Result_0" / f"{'_' if stem[0].isdigit() else ''}{stem}.raw"
        file.write_bytes(array.astype(np.float32).tobytes())
        files.append(file)
    return files


def write_polygraphy(file: Path, values: Mapping[str, Array], runners: Sequence[str] = ("trt",)) -> None:
    """As ``polygraphy run --save-outputs`` 0.53.6 writes it."""
    outputs = {
        name: {"values": {"array": _encoded(array), "polygraphy_class": "LazyArray"}}
        for name, array in values.items()
    }
    iteration = {"outputs": outputs, "runtime": 0.001, "polygraphy_class": "IterationResult"}
    content = {"lst": [[name, [iteration]] for name in runners], "polygraphy_class": "RunResults"}
    file.write_text(json.dumps(content, indent=4))


def _encoded(array: Array) -> str:
    held = io.BytesIO()
    np.save(held, array, allow_pickle=False)
    return base64.b64encode(held.getvalue()).decode()


def write_trtexec(file: Path, values: Mapping[str, Array]) -> None:
    """As ``trtexec --exportOutput`` writes it: six digits, bare nan and inf."""
    entries = [
        f'  {{ "name" : "{name}"\n  , "dimensions" : "{"x".join(map(str, array.shape))}"\n  , "values" : [ '
        + ", ".join(f"{value:.6g}" for value in array.reshape(-1))
        + " ]\n  }"
        for name, array in values.items()
    ]
    file.write_text("[\n" + "\n, ".join(entries) + "\n]\n")
