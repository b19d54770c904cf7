"""What does a runtime's message say: which node it refuses, and why, without its own file names?"""

from __future__ import annotations

import re
from dataclasses import dataclass

from segdiff.core.graph import Graph, Op

WORDS = 300
"""Characters of the runtime's own message that are told."""


@dataclass(frozen=True)
class Named:
    """What a message says of the node: its own name, its operator, and what it writes; empty where it says
    nothing."""

    name: str = ""
    type: str = ""
    outputs: tuple[str, ...] = ()


_AFTER = re.compile(r" after value '.*'$")

_PLACE = re.compile(r"\S*/onnxruntime\S*|\[ONNXRuntimeError\] : \d+ : \w+ : |Load model from \S+ failed:\s*")

_SOURCE = re.compile(r"(?:void |static )?\S*onnxruntime::(?:[^()]*\([^()]*\)(?: const)? |.*?\) )")

_IN_NODE = re.compile(r'In Node, \("(?P<name>[^"]*)", (?P<type>\w+),.*?-> \((?P<outputs>.*?)\) ?, Error ')

_INVALID = re.compile(r"This is an invalid model\. (?:Error: )?")

_FORMS = (
    re.compile(r"running (?P<type>\w+) node\. Name:'(?P<name>[^']*)'"),
    re.compile(r"Node \((?P<name>[^)]*)\) Op \((?P<type>\w+)\)"),
    re.compile(r"operator \((?P<type>\w+)\) in node \((?P<name>[^)]*)\)"),
    re.compile(r"Optype \((?P<type>\w+)\) .*in node \((?P<name>[^)]*)\)"),
    re.compile(r"No Op registered for (?P<type>\w+)"),
    re.compile(r"\w:(?P<type>\w+)\(-?\d+\) is not a registered"),
)


def own_words(message: str) -> str:
    """A message without the file's path and the last value that was made: neither is to blame."""
    return _AFTER.sub("", message.partition(" failed: ")[2] or message)


def named(message: str) -> Named:
    """The node as the message has it.

    >>> named("Non-zero status code returned while running Gather node. Name:'' Status Message: out of range")
    Named(name='', type='Gather', outputs=())
    >>> named('In Node, ("", If, "", -1) : ("c": tensor(bool),) -> ("z",) , Error No Op registered for A')
    Named(name='', type='If', outputs=('z',))
    """
    words = own_words(message)
    if found := _IN_NODE.search(words):
        outputs = tuple(re.findall(r'"([^"]+)"', found["outputs"]))
        return Named(found["name"], found["type"], outputs)
    for form in _FORMS:
        if found := form.search(words):
            groups = found.groupdict()
            return Named(groups.get("name", ""), groups["type"])
    return Named()


def named_in(graph: Graph, message: str) -> Op | None:
    """The node that a message names, by its own name or by a tensor it writes; the longest name wins."""
    said = named(message)
    by_name = {op.name: op for op in graph.ops}
    if said.name in by_name:
        return by_name[said.name]
    for name in said.outputs:
        if name in graph.producer:
            return graph.producer[name]
        if name in graph.parameters:
            return next((op for op in graph.ops if name in op.inputs), None)
    if said.type and not said.name:
        alike = [op for op in graph.ops if op.type.rpartition(".")[2] == said.type]
        return alike[0] if len(alike) == 1 else None
    words = own_words(message)
    found = []
    for op in graph.ops:
        for name in (op.name, *op.outputs):
            if len(name) > 1 and re.search(rf"(?<=[(\"'\[]){re.escape(name)}(?=[)\"'\]:,])", words):
                found.append((name == op.name, len(name), op))
    return max(found, key=lambda item: item[:2])[2] if found else None


def plain_words(message: str) -> str:
    """The runtime's message without its prefixes and the places in its own source."""
    words = message.rpartition("Status Message: ")[2] if "Status Message: " in message else message
    words = words.partition(" failed: ")[2] or words
    words = _SOURCE.sub("", _PLACE.sub("", words))
    words = _IN_NODE.sub("", _AFTER.sub("", words))
    words = _INVALID.sub("", words)
    return " ".join(words.split()).rstrip(".")[:WORDS]
