"""A file that a model would read weights from is found wherever a model may name it."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.staging.smoke.external_data import NoOnnxError, external_data
from taktgate.standin.onnx_file import field, varint_field

MODEL_GRAPH, GRAPH_NODE, GRAPH_TENSOR, GRAPH_SPARSE = 7, 1, 5, 15
NODE_ATTRIBUTE, ATTRIBUTE_GRAPH = 5, 6


def tensor(path: str) -> bytes:
    """A weight that lies in the file *path*."""
    return field(13, field(1, b"offset") + field(2, b"0")) + field(
        13, field(1, b"location") + field(2, path.encode())
    )


def model(graph: bytes, *, graphs_within: int = 0) -> bytes:
    """A model with *graph* within as many graphs; each is an attribute of a node."""
    for _ in range(graphs_within):
        graph = field(GRAPH_NODE, field(NODE_ATTRIBUTE, field(ATTRIBUTE_GRAPH, graph)))
    return field(MODEL_GRAPH, graph)


@pytest.mark.parametrize("graphs_within", [0, 1, 10])
def test_the_first_file_is_named_however_deep_its_graph_lies(graphs_within: int) -> None:
    graph = field(GRAPH_TENSOR, tensor("weights.bin")) + field(GRAPH_TENSOR, tensor("more.bin"))
    data = model(graph, graphs_within=graphs_within)
    assert external_data(memoryview(data)) == "weights.bin"


@pytest.mark.parametrize(
    "path",
    [
        (7, 5),  # an initializer
        (7, 15, 1),  # the values of a sparse initializer
        (7, 15, 2),  # its indices
        (7, 1, 5, 5),  # an attribute that is a tensor
        (7, 1, 5, 10),  # ... a list of tensors
        (7, 1, 5, 11, 5),  # ... a list of graphs
        (7, 1, 5, 22, 1),  # ... a sparse tensor
        (7, 1, 5, 23, 2),  # ... a list of sparse tensors
        (20, 1, 5),  # the initialization of a training
        (20, 2, 5),  # its algorithm
        (25, 7, 5, 5),  # a node of a function
        (25, 11, 5),  # a default of a function's attribute
    ],
)
def test_every_place_of_a_tensor_is_looked_into(path: tuple[int, ...]) -> None:
    data = tensor("elsewhere")
    for number in reversed(path):
        data = field(number, data)
    assert external_data(memoryview(data)) == "elsewhere"


def test_a_model_that_holds_its_weights_names_none() -> None:
    own = varint_field(1, 3) + field(9, bytes(12)) + field(13, field(1, b"length"))
    assert external_data(memoryview(model(field(GRAPH_TENSOR, own)))) is None


@pytest.mark.parametrize(
    ("graph", "graphs_within"),
    [(field(GRAPH_SPARSE, field(1, tensor("weights.bin"))), 10), (b"", 1_000)],
)
def test_graphs_deeper_than_any_model_has_are_refused(graph: bytes, graphs_within: int) -> None:
    data = model(graph, graphs_within=graphs_within)
    with pytest.raises(NoOnnxError, match="deeper than 32"):
        external_data(memoryview(data))


@given(st.binary(max_size=300))
def test_any_other_bytes_are_refused_or_searched(content: bytes) -> None:
    with suppress(NoOnnxError):
        assert external_data(memoryview(content)) is None
