"""Log lines are what `iotedge logs` parses: one per record."""

import logging
import re

from taktgate.edge.logs import EdgeFormatter

# The parser of IoT Edge (LogMessageParser.cs), with its groups.
EDGE_LINE = re.compile(
    r"^(<(?P<level>\d)>)?\s*"
    r"((?P<stamp>\d{4}-\d{2}-\d{2}\s\d{2}:\d{2}:\d{2}.\d{3}\s[+-]\d{2}:\d{2})\s)?\s*(?P<text>.*)"
)


def line(level: int, message: str, **facts: object) -> str:
    record = logging.makeLogRecord({"levelno": level, "msg": message, **facts})
    return EdgeFormatter("judge").format(record)


def test_a_record_is_one_line_that_edge_parses() -> None:
    match = EDGE_LINE.match(line(logging.WARNING, "first\nsecond"))
    assert match is not None
    assert match["level"] == "4"
    assert match["stamp"]
    assert match["text"] == r"[WRN] [judge] - first\nsecond"


def test_facts_follow_as_json() -> None:
    assert line(logging.INFO, "part closed", trigger_id=5).endswith('part closed {"trigger_id": 5}')
