"""The small network of the sample models: a 512x512 frame to one score per class of defect.

Importing this file loads torch. The frame is averaged to 256x256 grey inside the graph, shown to
the network twice (as it is, and normalised to its own light), and reduced to stride 16. Each class
gets a map of logits; its logit is the mean of the hottest cells plus a share from the whole frame.
"""
# The base class comes from a package without types, see training_stack.
# mypy: disable-error-code="misc"

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

from taktgate.gates.sample_images import INPUT_SIZE
from taktgate.gates.training_stack import load

torch: Any = load("torch")
nn: Any = torch.nn

OPSET: Final = 18
IR_VERSION: Final = 8
HOTTEST_CELLS: Final = 6


def _conv(inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1) -> Any:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs),
        nn.ReLU(inplace=True),
    )


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
        self.body = nn.Sequential(
            _conv(2, 16, kernel=5, stride=2),
            _conv(16, 24, stride=2),
            _conv(24, 32, stride=2),
            Residual(32),
            _conv(32, 48, stride=2),
            Residual(48),
        )
        self.dropout = nn.Dropout(0.2)
        self.map = nn.Conv2d(48, classes, 1)
        self.whole = nn.Linear(48, classes)

    def forward(self, grey: Any) -> Any:
        """Return the logits of the classes."""
        mean = grey.mean((2, 3), keepdim=True)
        spread = (grey - mean).square().mean((2, 3), keepdim=True).sqrt()
        own_light = (grey - mean) / (spread + 0.02)
        features = self.body(torch.cat([grey * 2.0 - 1.0, own_light * 0.5], 1))
        cells = self.map(self.dropout(features)).flatten(2)
        hottest = torch.topk(cells, HOTTEST_CELLS, dim=2).values.mean(2)
        return hottest + self.whole(self.dropout(features.mean((2, 3))))


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
        grey = nn.functional.conv2d(image.float(), self.to_grey, stride=2)
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
