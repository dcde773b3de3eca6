"""The small network of the sample models: a 512x512 frame to one score per class of defect.

Importing this file loads torch. The frame is averaged to 256x256 grey inside the graph. A fixed
first stage (`look`) measures what a defect is made of: dark and bright extremes, local spread, and
dark lines in eight directions, on a 64x64 grid. A small learned stage (`judge`) turns that into a
map of logits per class; a class's logit is the mean of the hottest cells plus a share from the
whole frame. The fixed stage makes a thousand images and a few minutes of one core enough.
"""
# The base class comes from a package without types, see training_stack.
# mypy: disable-error-code="misc"

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from taktgate.gates.sample_images import INPUT_SIZE
from taktgate.gates.training_stack import load

torch: Any = load("torch")
nn: Any = torch.nn
functional: Any = torch.nn.functional

OPSET: Final = 18
IR_VERSION: Final = 8
HOTTEST_CELLS: Final = 6
CELL: Final = 4
TONES: Final = 5
DIRECTIONS: Final = 8
CHANNELS: Final = TONES + DIRECTIONS
LINE_KERNEL: Final = 11
LINE_WIDTH: Final = 1.2
LINE_LENGTH: Final = 3.5

MIRRORED: Final = [
    *range(TONES),
    *(TONES + (DIRECTIONS - k) % DIRECTIONS for k in range(DIRECTIONS)),
]
"""The order of the channels of a mirrored image."""
TURNED: Final = [
    *range(TONES),
    *(TONES + (DIRECTIONS // 2 - k) % DIRECTIONS for k in range(DIRECTIONS)),
]
"""The order of the channels of an image with x and y exchanged."""


class Look(nn.Module):
    """Grey [n, 1, 256, 256] within 0..1 to measurements [n, 13, 64, 64]; nothing is learned."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("lines", torch.from_numpy(_line_bank()), persistent=False)

    def forward(self, grey: Any) -> Any:
        """Return tones in the frame's own light, brightness, spread, and lines by direction."""
        bright, square = functional.avg_pool2d(grey, CELL), functional.avg_pool2d(grey * grey, CELL)
        brightest, darkest = functional.max_pool2d(grey, CELL), -functional.max_pool2d(-grey, CELL)
        mean = bright.mean((2, 3), keepdim=True)
        variance = square.mean((2, 3), keepdim=True) - mean * mean
        spread = variance.clamp(min=0.0).sqrt() + 0.02
        local = _around(bright)
        local_spread = (_around(square) - local * local).clamp(min=0.0).sqrt() + 0.01
        lines = functional.conv2d(grey, self.lines, padding=LINE_KERNEL // 2)
        tones = (
            (bright - mean) / spread * 0.5,
            (darkest - mean) / spread * 0.5,
            (brightest - mean) / spread * 0.5,
            bright * 2.0 - 1.0,
            local_spread * 10.0 - 1.0,
        )
        return torch.cat([*tones, functional.max_pool2d(lines, CELL) / local_spread * 3.0], 1)


class Residual(nn.Module):
    """Two 3x3 convolutions around a shortcut."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = nn.Sequential(
            nn.Conv2d(channels, channels, 3, 1, 1, bias=False), nn.BatchNorm2d(channels)
        )

    def forward(self, x: Any) -> Any:
        """Return *x* refined."""
        return torch.relu(x + self.second(self.first(x)))


class DefectNet(nn.Module):
    """Grey [n, 1, 256, 256] within 0..1 to one logit per class, [n, classes]."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.look = Look()
        self.body = nn.Sequential(
            _conv(CHANNELS, 32, stride=2), _conv(32, 48, stride=2), Residual(48)
        )
        self.dropout = nn.Dropout(0.2)
        self.map = nn.Conv2d(48, classes, 1)
        self.whole = nn.Linear(96, classes)

    def forward(self, grey: Any) -> Any:
        """Return the logits of the classes."""
        return self.judge(self.look(grey))

    def judge(self, measured: Any) -> Any:
        """Return the logits of the classes from what `look` measured."""
        features = self.body(measured)
        cells = self.map(self.dropout(features)).flatten(2)
        hottest = torch.topk(cells, HOTTEST_CELLS, dim=2).values.mean(2)
        whole = torch.cat([features.mean((2, 3)), features.amax((2, 3))], 1)
        return hottest + self.whole(self.dropout(whole))


class FrameModel(nn.Module):
    """What is exported: uint8 frames in, scores out, with the operating logits folded in."""

    def __init__(self, net: DefectNet, offsets: list[float]) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("offsets", torch.tensor([offsets], dtype=torch.float32))
        grey = torch.full((1, 3, 2, 2), 1.0 / (3 * 4 * 255.0))
        self.register_buffer("to_grey", grey)

    def forward(self, image: Any) -> tuple[Any, Any]:
        """Return the score of the frame and the scores of its classes."""
        grey = functional.conv2d(image.float(), self.to_grey, stride=2)
        class_scores = torch.sigmoid(self.net(grey) - self.offsets)
        return class_scores.amax(1, keepdim=True), class_scores


def export(net: DefectNet, offsets: list[float], to: Path) -> None:
    """Write *net* as ONNX with the logits *offsets* as its 0.5, for ONNX Runtime 1.17 and newer."""
    onnx = load("onnx")
    model = FrameModel(net.eval(), offsets).eval()
    frame = torch.zeros((1, 3, INPUT_SIZE, INPUT_SIZE), dtype=torch.uint8)
    program = torch.onnx.export(
        model,
        (frame,),
        input_names=["image"],
        output_names=["scores", "class_scores"],
        opset_version=OPSET,
        dynamo=True,
        external_data=False,
        verbose=False,
    )
    proto = program.model_proto
    proto.ir_version = IR_VERSION
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    onnx.checker.check_model(proto, full_check=True)
    to.write_bytes(proto.SerializeToString(deterministic=True))


def _conv(inputs: int, outputs: int, *, stride: int = 1) -> Any:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


def _around(cells: Any) -> Any:
    return functional.avg_pool2d(cells, 5, 1, 2, count_include_pad=False)


def _line_bank() -> NDArray[np.float32]:
    """Return filters that answer to a dark line, one per direction: [8, 1, 11, 11]."""
    reach = np.arange(LINE_KERNEL) - LINE_KERNEL // 2
    y, x = np.meshgrid(reach, reach, indexing="ij")
    bank = []
    for k in range(DIRECTIONS):
        angle = math.pi * k / DIRECTIONS
        along = x * math.cos(angle) + y * math.sin(angle)
        across = (y * math.cos(angle) - x * math.sin(angle)) / LINE_WIDTH
        kernel = (across**2 - 1.0) * np.exp(-0.5 * (across**2 + (along / LINE_LENGTH) ** 2))
        kernel -= kernel.mean()
        bank.append(kernel / np.abs(kernel).sum())
    return np.asarray(bank, dtype=np.float32)[:, None]
