"""What modules write: kept and stamped, parsed, selected, and sent by GetModuleLogs."""

import base64
import gzip
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from taktgate.standin.azure.edgeagent.errors import RequestRefusedError
from taktgate.standin.azure.edgeagent.logs.answer import MAX_PAYLOAD_BYTES, LogOrigin, log_answer
from taktgate.standin.azure.edgeagent.logs.lines import parse_line
from taktgate.standin.azure.edgeagent.logs.module_log import MAX_LINE_BYTES, ModuleLog
from taktgate.standin.azure.edgeagent.logs.request import LogRequest, parse_log_request
from taktgate.standin.azure.edgeagent.runtime import LogLine, LogWindow

NOW = datetime(2026, 1, 2, tzinfo=UTC)
ALL = LogWindow()
ORIGIN = LogOrigin(hub="h", device="d", module="m")
PARSER = (
    "Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Core/logs/LogMessageParser.cs"
)
DOCS = "learn.microsoft.com/azure/iot-edge/how-to-retrieve-iot-edge-logs"


@pytest.mark.azure("edgeAgent", "A log line is <level> date time zone text", source=PARSER)
@pytest.mark.parametrize(
    ("line", "level", "time", "text"),
    [
        (
            "<6> 2019-02-14 16:15:35.243 -08:00 [INF] [EdgeHub] - Version\n",
            6,
            datetime(2019, 2, 14, 16, 15, 35, 243000, timezone(timedelta(hours=-8))),
            "[INF] [EdgeHub] - Version",
        ),
        ("<3> 2019-02-14 00:00:00.000 +00:00 {}", 3, datetime(2019, 2, 14, tzinfo=UTC), "{}"),
        ("<4>text", 4, None, "text"),
        ("just text", 6, None, "just text"),
        ("<12> two digits", 6, None, "<12> two digits"),
        ("<3> 2019-99-14 16:15:35.243 +00:00 x", 3, None, "x"),
        (
            "2026-01-01T00:00:00.5Z <2> x",
            2,
            datetime(2026, 1, 1, 0, 0, 0, 500000, UTC),
            "x",
        ),
        ("", 6, None, ""),
    ],
)  # fmt: skip
def test_line_is_parsed(line: str, level: int, time: datetime | None, text: str) -> None:
    parsed = parse_line(line)
    assert (parsed.level, parsed.time, parsed.text) == (level, time, text)


@given(st.text())
def test_any_text_is_a_line(line: str) -> None:
    assert 0 <= parse_line(line).level <= 9


@given(
    st.lists(st.tuples(st.sampled_from(("stdout", "stderr")), st.binary(max_size=40)), max_size=20)
)
def test_output_is_kept_whole_however_it_was_cut(
    tmp_path_factory: pytest.TempPathFactory, pieces: list[tuple[str, bytes]]
) -> None:
    log = ModuleLog(tmp_path_factory.mktemp("log") / "m.log", lambda: 1.0)
    for stream, data in pieces:
        log.append(stream, data)
    for stream in ("stdout", "stderr"):
        log.flush(stream)
        kept = "".join(line.text for line in log.read(ALL) if line.stream == stream)
        written = b"".join(data for name, data in pieces if name == stream)
        assert kept == written.decode("utf-8", errors="replace") or not written.isascii()
    assert all(line.text.count("\n") <= 1 for line in log.read(ALL))


@pytest.mark.azure(
    "edgeAgent",
    "since and until find lines by the time at which they were written, also without a prefix",
    source=DOCS,
)
def test_lines_are_found_by_the_time_at_which_they_were_written(tmp_path: Path) -> None:
    now = [10.0]
    log = ModuleLog(tmp_path / "m.log", lambda: now[0])
    log.append("stdout", b"old\nhalf ")
    now[0] = 20.0
    log.append("stdout", b"new\n")
    assert [line.text for line in log.read(LogWindow(until_s=15.0))] == ["old\n"]
    assert [line.text for line in log.read(LogWindow(since_s=15.0))] == ["half new\n"]


def test_output_that_cannot_be_stored_is_lost_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "logs" / "m.log"
    log = ModuleLog(path, lambda: 1.0)
    path.mkdir(parents=True)  # no file can be opened there, as on a full disk
    for _ in range(3):
        log.append("stdout", b"lost\n")
    assert caplog.messages == ["a module's output is lost"]
    path.rmdir()
    log.append("stdout", b"kept\n")
    assert [line.text for line in log.read(ALL)] == ["kept\n"]


def test_log_goes_on_after_a_restart_of_the_stand_in(tmp_path: Path) -> None:
    path = tmp_path / "m.log"
    ModuleLog(path, lambda: 1.0).append("stdout", b"one\n")
    with path.open("ab") as file:
        file.write(b"nobody has a record of this\n")
    ModuleLog(path, lambda: 2.0).append("stderr", b"two\n")
    lines = ModuleLog(path, lambda: 3.0).read(ALL)
    assert [(line.text, line.stream) for line in lines] == [
        ("one\n", "stdout"),
        ("two\n", "stderr"),
    ]


def test_line_without_end_does_not_fill_the_memory(tmp_path: Path) -> None:
    log = ModuleLog(tmp_path / "m.log", lambda: 1.0)
    log.append("stdout", b"x" * (MAX_LINE_BYTES * 2 + 1))
    assert [len(line.text) for line in log.read(ALL)] == [MAX_LINE_BYTES] * 2


def lines(*texts: str) -> list[LogLine]:
    return [LogLine(stamped_s=1.0, stream="stdout", text=f"{text}\n") for text in texts]


def select(given: dict[str, Any], *texts: str) -> list[str]:
    request = parse_log_request({"items": [{"id": "m", "filter": given}]}, now=NOW)
    return [line.text.rstrip() for line in request.filters(["m"])["m"].select(lines(*texts))]


@pytest.mark.azure(
    "edgeAgent", "Logs are filtered by level, regular expression, and then the tail", source=DOCS
)
@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, ["<3> a", "<6> b", "plain", "<3> c"]),
        ({"tail": 2}, ["plain", "<3> c"]),
        ({"tail": 0}, []),
        ({"loglevel": 3}, ["<3> a", "<3> c"]),
        ({"loglevel": 3, "tail": 1}, ["<3> c"]),
        ({"loglevel": 6}, ["<6> b", "plain"]),
        ({"regex": "^[ab]$"}, ["<3> a", "<6> b"]),
        ({"regex": "lai"}, ["plain"]),
    ],
)
def test_lines_are_selected(filters: dict[str, Any], found: list[str]) -> None:
    assert select(filters, "<3> a", "<6> b", "plain", "<3> c") == found


@pytest.mark.azure(
    "edgeAgent",
    "since and until take a duration, a UNIX time or an RFC 3339 time",
    source=DOCS,
)
@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1d", NOW - timedelta(days=1)),
        ("2 days 3 hours 2 minutes", NOW - timedelta(days=2, hours=3, minutes=2)),
        ("90m", NOW - timedelta(minutes=90)),
        ("15 s", NOW - timedelta(seconds=15)),
        ("1767225600", datetime(2026, 1, 1, tzinfo=UTC)),
        (1767225600, datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T01:00:00+01:00", datetime(2026, 1, 1, tzinfo=UTC)),
        ("2026-01-01T00:00:00Z", datetime(2026, 1, 1, tzinfo=UTC)),
    ],
)
def test_times_of_a_filter(text: str | int, moment: datetime) -> None:
    request = parse_log_request({"items": {"id": "m", "filter": {"since": text}}}, now=NOW)
    assert request.filters(["m"])["m"].window.since_s == moment.timestamp()


@pytest.mark.azure(
    "edgeAgent",
    "A log item's id is a regular expression of module names without regard to case, or all",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Core/logs/"
    "LogsRequestToOptionsMapper.cs",
)
@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("all", {"inference", "plc"}),
        ("INF", {"inference"}),
        ("^c$", set()),
        ("p|i", {"inference", "plc"}),
    ],
)
def test_id_selects_modules(pattern: str, names: set[str]) -> None:
    request = parse_log_request({"items": [{"id": pattern}]}, now=NOW)
    assert set(request.filters(["inference", "plc"])) == names


def test_first_item_that_fits_gives_the_filter() -> None:
    items = [{"id": "m", "filter": {"tail": 1}}, {"id": "all", "filter": {"tail": 9}}]
    filters = parse_log_request({"items": items}, now=NOW).filters(["m", "n"])
    assert (filters["m"].tail, filters["n"].tail) == (1, 9)


@pytest.mark.parametrize(
    ("payload", "rule"),
    [
        ({}, r"items None; rule: a list"),
        ({"items": [{}]}, r"items\[0\].id"),
        ({"items": [{"id": "("}]}, r"items\[0\].id '\('; rule: a regular expression"),
        ({"items": [{"id": "m", "filter": 3}]}, "filter 3; rule: an object"),
        ({"items": [{"id": "m", "filter": {"tail": -1}}]}, "tail -1; rule"),
        ({"items": [{"id": "m", "filter": {"tail": True}}]}, "tail True; rule"),
        ({"items": [{"id": "m", "filter": {"loglevel": 8}}]}, r"loglevel 8; rule: 0..7"),
        ({"items": [{"id": "m", "filter": {"regex": "("}}]}, r"regex '\('; rule"),
        ({"items": [{"id": "m", "filter": {"regex": 4}}]}, r"regex 4; rule"),
        ({"items": [{"id": "m", "filter": {"since": "soon"}}]}, "since 'soon'; rule"),
        ({"items": [{"id": "m", "filter": {"since": "9999999999d"}}]}, "since '9999999999d'"),
        ({"items": [], "encoding": "zip"}, "encoding 'zip'; rule: none or gzip"),
        ({"items": [], "contentType": "xml"}, "contentType 'xml'; rule: text or json"),
    ],
)
def test_wrong_request_names_field_and_rule(payload: dict[str, Any], rule: str) -> None:
    with pytest.raises(RequestRefusedError, match=rule) as refusal:
        parse_log_request(payload, now=NOW)
    assert refusal.value.status == 400


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(tail=JSON, since=JSON, level=JSON, regex=JSON, module=JSON, encoding=JSON, content=JSON)
def test_any_json_is_a_request_or_refused(**given: Any) -> None:
    filters = {"tail": given["tail"], "since": given["since"], "until": given["since"]}
    filters |= {"loglevel": given["level"], "regex": given["regex"]}
    payload = {"items": [{"id": given["module"], "filter": filters}]}
    payload |= {"encoding": given["encoding"], "contentType": given["content"]}
    with suppress(RequestRefusedError):
        parse_log_request(payload, now=NOW)


def request(**options: str) -> LogRequest:
    return parse_log_request({"items": [{"id": "m"}], **options}, now=NOW)


def test_text_answer_is_the_lines_as_they_are() -> None:
    answer = log_answer(ORIGIN, lines("<3> a", "b"), request())
    assert answer == {"id": "m", "payloadBytes": None, "payload": "<3> a\nb\n"}


@pytest.mark.azure(
    "edgeAgent", "contentType json gives level, time, stream and text of each line", source=DOCS
)
def test_json_answer_has_the_parts_of_each_line() -> None:
    line = lines("<3> 2026-01-01 00:00:00.000 +00:00 broken")
    answer = log_answer(ORIGIN, line, request(contentType="json"))
    assert json.loads(answer["payload"]) == [
        {
            "iothub": "h",
            "device": "d",
            "id": "m",
            "stream": "stdout",
            "loglevel": 3,
            "text": "broken",
            "timestamp": "2026-01-01T00:00:00+00:00",
        }
    ]


@pytest.mark.azure("edgeAgent", "encoding gzip gives the bytes in payloadBytes", source=DOCS)
def test_packed_answer_can_be_unpacked() -> None:
    answer = log_answer(ORIGIN, lines("a"), request(encoding="gzip"))
    assert answer["payload"] is None
    assert gzip.decompress(base64.b64decode(answer["payloadBytes"])) == b"a\n"


@pytest.mark.azure(
    "edgeAgent",
    "Logs of more than 127,000 bytes are replaced by a message that says so",
    source="Azure/iotedge edge-agent/src/Microsoft.Azure.Devices.Edge.Agent.Core/requests/"
    "ModuleLogsRequestHandler.cs",
)
@pytest.mark.parametrize(
    ("size", "is_sent"), [(MAX_PAYLOAD_BYTES, True), (MAX_PAYLOAD_BYTES + 1, False)]
)
def test_answer_that_is_too_long_says_so(size: int, is_sent: bool) -> None:
    line = LogLine(stamped_s=1.0, stream="stdout", text="x" * size)
    answer = log_answer(ORIGIN, [line], request())
    assert ("The payload is too large" not in answer["payload"]) is is_sent
