"""How does a block of a PIR program become a program of its own?

Its ops keep their numbers. The parameters stand before them as in the whole program, whose file they share;
what is captured or carried comes from ``data`` ops, and what the block yields is fetched.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from segdiff.core.errors import ModelError
from segdiff.core.files import ModelFiles
from segdiff.core.graph import Graph, Op
from segdiff.readers import pir
from segdiff.readers.blocks import LOOPS, Block, BlockInput
from segdiff.readers.guard import guard
from segdiff.readers.pir_attributes import type_word


def block(files: ModelFiles, graph: Graph, op: Op, taken: bool) -> Block:
    """The block that the op runs: its only one, or of an if the first where it is taken."""
    ops = pir.parse(files.program)
    with guard(files.program, "the program"):
        item = ops[op.index]
        loop = op.type in LOOPS
        part = item["regions"][0 if loop or taken else 1]["blocks"][0]
        names = pir.names_of(ops, files.program)
        parameters = {r["%"] for each in ops if pir.is_parameter(each) for r in pir.results_of(each)}
        captured = {number: names[number] for number in _captured(part) if number not in parameters}
        made = {r["%"] for each in part["ops"] for r in pir.results_of(each)}
        yielded = [operand["%"] for operand in part["ops"][-1]["I"]]
        carried = {str(arg["#"]): int(arg["#"]) for arg in part.get("args", ())}
    words = carried | {name: number for number, name in captured.items()}
    return Block(
        word="body" if loop else "true block" if taken else "false block",
        captured=tuple(captured.values()),
        carried=tuple(carried),
        results=tuple(str(number) if number in made else None for number in yielded),
        initial=tuple(names.get(operand["%"], "") for operand in item["I"][1:]) if loop else (),
        write=lambda folder, inputs, wanted: _write(
            files, ops, part, words, [yielded[place] for place in wanted], folder, inputs
        ),
    )


def _captured(part: dict[str, Any]) -> list[int]:
    return pir.captured_numbers({"regions": [{"blocks": [part]}]})


def _write(
    files: ModelFiles,
    ops: list[dict[str, Any]],
    part: dict[str, Any],
    words: Mapping[str, int],
    wanted: Sequence[int],
    folder: Path,
    inputs: Mapping[str, BlockInput],
) -> ModelFiles:
    if files.params is not None and not files.params.is_file():
        raise ModelError(f"{files.params}: a folder of parameters cannot be shared with a block's program")
    free = 1 + max(abs(int(r["%"])) for each in _everywhere(ops) for r in pir.results_of(each))
    numbers = {words[word]: free + place for place, word in enumerate(inputs)}
    body = copy.deepcopy(part["ops"][:-1])
    for each in _everywhere(body):
        for operand in each.get("I", ()):
            operand["%"] = numbers.get(operand["%"], operand["%"])
    feeds = [_data(numbers[words[word]], given) for word, given in inputs.items()]
    types = {r["%"]: r["TT"] for each in body for r in pir.results_of(each)}
    free += len(inputs)
    fetches = [_fetch(number, types[number], free + place, place) for place, number in enumerate(wanted)]
    program = [*(each for each in ops if pir.is_parameter(each)), *feeds, *body, *fetches]
    whole = json.loads(files.program.read_bytes())
    whole["program"] = {
        "regions": [{"#": "region_0", "blocks": [{"#": "block_0", "args": [], "ops": program}]}]
    }
    path = folder / "block.json"
    path.write_text(json.dumps(whole))
    return ModelFiles("pir", path, files.params, None)


def _everywhere(ops: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for each in ops:
        yield each
        for inner in pir.blocks_inside(each):
            yield from inner["ops"]


def _flag(name: str, value: bool) -> dict[str, Any]:
    return {"N": name, "AT": {"#": "0.a_array", "D": [{"#": "0.a_bool", "D": value}]}}


def _data(number: int, given: BlockInput) -> dict[str, Any]:
    kind = {"#": "0.t_dtensor", "D": [{"#": type_word(given.dtype)}, list(given.shape), "NCHW", [], 0]}
    return {
        "#": "1.data",
        "A": [
            {"N": "name", "AT": {"#": "0.a_str", "D": given.name}},
            {"N": "shape", "AT": {"#": "1.a_intarray", "D": list(given.shape)}},
            {"N": "dtype", "AT": {"#": "1.a_dtype", "D": given.dtype}},
            {"N": "place", "AT": {"#": "1.a_place", "D": [0, 0, ""]}},
        ],
        "I": [],
        "O": [{"%": number, "TT": kind}],
        "OA": [_flag("stop_gradient", True)],
    }


def _fetch(number: int, kind: Any, result: int, place: int) -> dict[str, Any]:
    return {
        "#": "1.fetch",
        "A": [
            {"N": "name", "AT": {"#": "0.a_str", "D": f"fetch_name_{place}"}},
            {"N": "col", "AT": {"#": "0.a_i32", "D": place}},
        ],
        "I": [{"%": number}],
        "O": [{"%": result, "TT": kind}],
        "OA": [_flag("persistable", True), _flag("stop_gradient", True)],
    }
