"""Would the run fail for a reason that can be told in a second? Asked before a long conversion begins."""

from __future__ import annotations

import os
from pathlib import Path

from segdiff.engines.convert import check_opset, parameter_file
from segdiff.engines.session import deploy_config, input_specs
from segdiff.finding.side_by_side import Image
from segdiff.inputs import CandidateInput, prepare
from segdiff.inputs.fed import check_named
from segdiff.readers import find, read
from segdiff.readers.urls import a_file, a_model, takes_urls


@takes_urls(reference=a_model, image=a_file)
def check_beforehand(
    reference: str | Path,
    image: Image,
    candidate_input: CandidateInput | None = None,
    *,
    allow_nan: bool = False,
    opset: int | None = None,
) -> None:
    """Raise what :func:`segdiff.locate` would raise of the reference, the image and the candidate's input.

    Raises ModelError where the reference cannot be read or converted, InputError where the image does not fit
    it, the candidate's input names nothing, or there is no such ``opset``.
    """
    check_opset(opset)
    if isinstance(candidate_input, str | os.PathLike):
        check_named(os.fspath(candidate_input))
    files = find(reference)
    parameter_file(files)
    graph = read(files)
    prepare(image, input_specs((graph, graph)), deploy_config((files, files)), allow_nan=allow_nan)
