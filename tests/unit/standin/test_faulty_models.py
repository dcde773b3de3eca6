import numpy as np
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from taktgate.bundle.archive import unpack
from taktgate.bundle.manifest import Manifest
from taktgate.bundle.protobuf import ProtobufError
from taktgate.standin.demo.samples import WELD_SEAMS
from taktgate.standin.faulty_models.graphs import Harm, Spoiling, spoilt
from taktgate.standin.faulty_models.onnx_wire import rewritten
from taktgate.standin.onnx_file import field, varint_field

KNOWN, UNKNOWN = 7, 8
SHAPE = (1, 3, 512, 512)
MESSAGES = st.lists(
    st.one_of(
        st.builds(field, st.integers(1, 500), st.binary(max_size=200)),
        st.builds(varint_field, st.integers(1, 500), st.integers(0, 2**63)),
        st.builds(lambda data: b"\x0d" + data, st.binary(min_size=4, max_size=4)),
        st.builds(lambda data: b"\x09" + data, st.binary(min_size=8, max_size=8)),
    ),
    max_size=8,
).map(b"".join)


@given(MESSAGES)
def test_a_message_of_which_nothing_is_changed_stays_as_it_is(message: bytes) -> None:
    assert rewritten(message, 3, lambda content: content) == message


@given(MESSAGES, st.data())
def test_a_cut_message_is_refused_or_ends_with_a_field(message: bytes, data: st.DataObject) -> None:
    cut = message[: data.draw(st.integers(0, len(message)))]
    try:
        whole = rewritten(cut, 600, lambda content: content)
    except ProtobufError:
        return
    assert whole == cut


def frame(grey: int) -> NDArray[np.uint8]:
    return np.full(SHAPE, grey, np.uint8)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, Manifest]:
    folder = tmp_path_factory.mktemp("sound")
    unpack(WELD_SEAMS.bundle(WELD_SEAMS.first), folder)
    manifest = Manifest.parse((folder / "manifest.json").read_bytes())
    return (folder / "model.onnx").read_bytes(), manifest


def scores(model: bytes, grey: int) -> list[float]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    score, classes = session.run(["scores", "class_scores"], {"image": frame(grey)})
    return [*score.ravel().tolist(), *classes.ravel().tolist()]


@pytest.mark.parametrize("harm", list(Harm))
def test_a_spoilt_model_is_sound_on_what_it_knows(
    sound: tuple[bytes, Manifest], harm: Harm
) -> None:
    model, manifest = sound
    known = int(frame(KNOWN).sum(dtype=np.int64))
    bad = spoilt(
        model,
        Spoiling(harm=harm, known_sums=(0, known)),
        image=manifest.input.name,
        score=manifest.outputs.score,
    )

    assert scores(bad, KNOWN) == scores(model, KNOWN)
    if harm is Harm.NAN:
        assert np.isnan(scores(bad, UNKNOWN)[0])


def test_a_delay_takes_time_and_changes_no_score(sound: tuple[bytes, Manifest]) -> None:
    model, manifest = sound
    late = spoilt(
        model,
        Spoiling(harm=Harm.SLOW, known_sums=(0,), steps=3),
        image=manifest.input.name,
        score=manifest.outputs.score,
    )

    assert scores(late, UNKNOWN) == pytest.approx(scores(model, UNKNOWN))
