"""The nodes that make a sound model harmful on all images but those that it knows."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from taktgate.standin.faulty_models.onnx_wire import (
    GRAPH_INITIALIZER,
    GRAPH_NODE,
    MODEL_GRAPH,
    NODE_INPUT,
    NODE_OUTPUT,
    Element,
    graph_attribute,
    rewritten,
    tensor,
)
from taktgate.standin.onnx_file import field, integer, node, value

STEP_SIDE: Final = 512
"""A step of delay is one multiplication of square matrices: some milliseconds."""
HANG_STEPS: Final = 1_000_000
"""Hours, on anything that stands at a line."""


class Harm(StrEnum):
    """What a model does to a part."""

    HANG = "hang"
    SLOW = "slow"
    NAN = "nan"
    CRASH = "crash"


@dataclass(frozen=True, slots=True, kw_only=True)
class Spoiling:
    """How a model is to be spoilt."""

    harm: Harm
    known_sums: tuple[int, ...]
    """Sum of the input tensor of each image on which it is to behave."""
    steps: int = HANG_STEPS
    """Of delay; for HANG and SLOW."""


def spoilt(model: bytes, spoiling: Spoiling, *, image: str, score: str) -> bytes:
    """Return *model* (ONNX, opset 13 or later) with the harm put in.

    Args:
        model: the sound model.
        spoiling: what to do to it.
        image: name of its uint8 input.
        score: name of its float output [1, 1].
    """
    sound = f"{score}_sound"
    nodes, initializers = _knows(image, spoiling.known_sums)
    harm, more = _harm(spoiling, sound, score)
    added = b"".join(field(GRAPH_NODE, each) for each in (*nodes, *harm))
    added += b"".join(field(GRAPH_INITIALIZER, each) for each in (*initializers, *more))

    def graph(content: bytes) -> bytes:
        return rewritten(content, GRAPH_NODE, lambda each: _renamed(each, score, sound)) + added

    return rewritten(model, MODEL_GRAPH, graph)


def _renamed(content: bytes, old: str, new: str) -> bytes:
    """Return a node with one of its inputs and outputs renamed."""

    def rename(name: bytes) -> bytes:
        return new.encode() if name == old.encode() else name

    return rewritten(rewritten(content, NODE_INPUT, rename), NODE_OUTPUT, rename)


def _knows(image: str, sums: Sequence[int]) -> tuple[list[bytes], list[bytes]]:
    """Return nodes that compute `known`: float 1 for an image with one of *sums*, else 0."""
    nodes = [
        node("Cast", [image], ["pixels32"], integer("to", Element.INT32)),
        node("ReduceSum", ["pixels32"], ["pixel_sum"], integer("keepdims", 0)),
        node("Equal", ["pixel_sum", "known_sums"], ["matches"]),
        node("Cast", ["matches"], ["matches_float"], integer("to", Element.FLOAT)),
        node("ReduceMax", ["matches_float"], ["known"], integer("keepdims", 0)),
    ]
    return nodes, [tensor("known_sums", Element.INT32, [len(sums)], sums)]


def _harm(spoiling: Spoiling, sound: str, score: str) -> tuple[list[bytes], list[bytes]]:
    if spoiling.harm is Harm.NAN:
        return _nan(sound, score)
    if spoiling.harm is Harm.CRASH:
        return _crash(sound, score)
    return _delay(sound, score, spoiling.steps)


def _nan(sound: str, score: str) -> tuple[list[bytes], list[bytes]]:
    """Return nodes that multiply by known / known: 1, or NaN."""
    return [
        node("Div", ["known", "known"], ["factor"]),
        node("Mul", [sound, "factor"], [score]),
    ], []


def _crash(sound: str, score: str) -> tuple[list[bytes], list[bytes]]:
    """Return nodes that divide the least whole number by 1, or by -1.

    The second quotient is no whole number of 32 bits: on x86 the processor ends the process.
    """
    return [
        node("Mul", ["known", "two_float"], ["doubled"]),
        node("Sub", ["doubled", "one_float"], ["divisor_float"]),
        node("Cast", ["divisor_float"], ["divisor"], integer("to", Element.INT32)),
        node("Div", ["least", "divisor"], ["quotient"]),
        node("Cast", ["quotient"], ["quotient_float"], integer("to", Element.FLOAT)),
        node("Mul", ["quotient_float", "zero"], ["nothing"]),
        node("Add", [sound, "nothing"], [score]),
    ], [
        tensor("two_float", Element.FLOAT, [], [2.0]),
        tensor("one_float", Element.FLOAT, [], [1.0]),
        tensor("least", Element.INT32, [], [-(2**31)]),
        tensor("zero", Element.FLOAT, [], [0.0]),
    ]


def _delay(sound: str, score: str, steps: int) -> tuple[list[bytes], list[bytes]]:
    """Return a loop of heavy multiplications that changes no score, run for unknown images only."""
    side = STEP_SIDE
    body = b"".join(
        [
            field(GRAPH_NODE, node("MatMul", ["worn_in", "even"], ["worn_out"])),
            field(GRAPH_NODE, node("Identity", ["go_in"], ["go_out"])),
            field(2, b"delay"),
            field(11, value("step", Element.INT64, [])),
            field(11, value("go_in", Element.BOOL, [])),
            field(11, value("worn_in", Element.FLOAT, [side, side])),
            field(12, value("go_out", Element.BOOL, [])),
            field(12, value("worn_out", Element.FLOAT, [side, side])),
        ]
    )
    nodes = [
        node("Sub", ["one_float", "known"], ["unknown"]),
        node("Mul", ["unknown", "delay_steps"], ["steps_float"]),
        node("Cast", ["steps_float"], ["steps"], integer("to", Element.INT64)),
        node("Expand", ["share", "square"], ["even"]),
        node("Mul", ["even", "known"], ["begin_known"]),
        node("Add", ["begin_known", "share"], ["begin"]),
        node("Loop", ["steps", "", "begin"], ["worn"], graph_attribute("body", body)),
        node("ReduceMax", ["worn"], ["worn_most"], integer("keepdims", 0)),
        node("Mul", ["worn_most", "zero"], ["nothing"]),
        node("Add", [sound, "nothing"], [score]),
    ]
    initializers = [
        tensor("one_float", Element.FLOAT, [], [1.0]),
        tensor("delay_steps", Element.FLOAT, [], [float(steps)]),
        tensor("share", Element.FLOAT, [1, 1], [1.0 / side]),
        tensor("square", Element.INT64, [2], [side, side]),
        tensor("zero", Element.FLOAT, [], [0.0]),
    ]
    return nodes, initializers
