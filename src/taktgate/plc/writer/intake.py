"""The writer's inbox: datagrams to verdicts and beats. Bad ones are counted, never fatal."""

import logging
from collections import Counter
from collections.abc import Collection
from dataclasses import MISSING, fields
from typing import Any, Final, Protocol

from pydantic_core import from_json

from taktgate.contracts.codec import ContractError, parse
from taktgate.contracts.line import Beat
from taktgate.contracts.outcome import Lane
from taktgate.contracts.routes import KIND_BEAT, KIND_VERDICT
from taktgate.contracts.verdict import VerdictEnvelope, expect_sealed
from taktgate.edge.lane import Datagram
from taktgate.plc.handshake.admission import MAX_MESSAGE_BYTES, Cause, read_stranger
from taktgate.plc.handshake.rules import Handshake
from taktgate.plc.handshake.watch import BeatWatch

log = logging.getLogger(__name__)

_FIELDS: Final[dict[type[Any], dict[str, bool]]] = {}
MAX_ITEMS: Final = 64
"""A model has at most as many classes (`bundle/manifest.py`)."""


class Inbox(Protocol):
    """Where datagrams come from."""

    refused: int
    """Datagrams dropped because of their sender or their form."""

    def receive(self) -> Datagram | None:
        """Return the next datagram, or None when none is waiting."""


class Intake:
    """Feeds the handshake and the beat watch from datagrams."""

    def __init__(self, *, rules: Handshake, beats: BeatWatch, lanes: Collection[Lane]) -> None:
        self._rules = rules
        self._beats = beats
        self._lanes = lanes
        self.refused: Counter[tuple[Cause, Lane]] = Counter()
        self.used: Counter[Lane] = Counter()
        """Verdicts that decided a part, by lane."""

    def accept(self, datagram: Datagram, now_ns: int) -> None:
        """Take in one datagram; what cannot be used is counted, and logged once per cause."""
        try:
            cause = self._dispatch(datagram, now_ns)
            detail = f"{len(datagram.payload)} bytes"
        except ContractError as error:
            cause = self._stranger(datagram, now_ns)
            detail = str(error)
        if cause is None:
            return
        is_first = all(known is not cause for known, _ in self.refused)
        self.refused[cause, datagram.lane] += 1
        if is_first and cause not in (Cause.DUPLICATE, Cause.OLD_BEAT):
            log.warning(
                "a message was not used; further ones of this cause are only counted",
                extra={"cause": cause, "lane": datagram.lane, "detail": detail},
            )

    def count(self, cause: Cause) -> int:
        """Return how many datagrams were refused for *cause*, on all lanes."""
        return sum(number for (known, _), number in self.refused.items() if known is cause)

    def _dispatch(self, datagram: Datagram, now_ns: int) -> Cause | None:
        if datagram.lane not in self._lanes:
            return Cause.LANE_OFF
        if len(datagram.payload) > MAX_MESSAGE_BYTES:
            return Cause.MALFORMED
        if datagram.kind == KIND_BEAT:
            content = content_of(Beat, datagram.payload)
            return self._beats.accept(parse(Beat, content), now_ns)
        if datagram.kind != KIND_VERDICT:
            return Cause.UNKNOWN_KIND
        content = content_of(VerdictEnvelope, datagram.payload)
        envelope = expect_sealed(parse(VerdictEnvelope, content))
        cause = self._rules.verdict(envelope, datagram.lane, now_ns)
        self.used[datagram.lane] += cause is None
        return cause

    def _stranger(self, datagram: Datagram, now_ns: int) -> Cause:
        """Return why the payload could not be read: another contract version, or broken."""
        stranger = read_stranger(datagram.payload)
        if stranger is None:
            return Cause.MALFORMED
        if datagram.kind == KIND_BEAT:
            self._beats.note_foreign_contract()
        else:
            self._rules.stranger(stranger, datagram.lane, now_ns)
        return Cause.CONTRACT


def content_of(document: type[Any], payload: bytes) -> dict[str, Any]:
    """Return what *payload* holds: the fields of *document* and no other, whatever is in them.

    Nor is any of its lists longer than a contract has. The full check makes an error of every wrong
    field: 8 KB of nonsense would hold the loop for 6 ms, and a stream of it would make every part
    late. It goes on from here, so that the JSON is read once.

    Raises:
        ContractError: names the first field that is missing, unknown or too long.
    """
    try:
        content = from_json(payload)
    except ValueError as error:
        raise ContractError(document.__name__, "(document)", str(error)) from None
    if not isinstance(content, dict):
        raise ContractError(document.__name__, "(document)", "must be an object")
    known = _fields_of(document)
    for name, value in content.items():
        if name not in known:
            raise ContractError(document.__name__, name[:64], "is unknown")
        if isinstance(value, list) and len(value) > MAX_ITEMS:
            raise ContractError(document.__name__, name, f"has more than {MAX_ITEMS} items")
    for name, is_required in known.items():
        if is_required and name not in content:
            raise ContractError(document.__name__, name, "is missing")
    return content


def _fields_of(document: type[Any]) -> dict[str, bool]:
    """Return the fields of *document*, each with whether it must be there."""
    known = _FIELDS.get(document)
    if known is None:
        known = {field.name: field.default is MISSING for field in fields(document)}
        _FIELDS[document] = known
    return known
