import pytest

from taktgate.standin.azure.errors import QuirkError
from taktgate.standin.azure.quirks import QUIRKS, QuirkBoard, System


def test_every_quirk_names_what_it_copies() -> None:
    assert all(quirk.copies and quirk.does for quirk in QUIRKS.values())


def test_quirk_of_so_many_times_turns_itself_off() -> None:
    board = QuirkBoard(System.EDGEHUB)
    board.turn_on("duplicate", 2)
    assert [board.strikes("duplicate") for _ in range(4)] == [True, True, False, False]
    assert not board.active


def test_quirk_without_a_number_has_its_usual_one_until_turned_off() -> None:
    board = QuirkBoard(System.EDGEHUB)
    board.turn_on("twin-sync-period")
    assert board.seconds("twin-sync-period") == 120
    board.turn_off("twin-sync-period")
    assert board.seconds("twin-sync-period") == 0


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("duplicates", None, "no quirk 'duplicates'; rule: one of"),
        ("throttle", None, "no quirk 'throttle'"),
        ("duplicate", 0.0, "rule: times above 0"),
        ("drop-connection", None, "is an action"),
    ],
)
def test_wrong_quirk_is_refused_by_name_and_rule(
    name: str, value: float | None, words: str
) -> None:
    with pytest.raises(QuirkError, match=words):
        QuirkBoard(System.EDGEHUB).turn_on(name, value)
