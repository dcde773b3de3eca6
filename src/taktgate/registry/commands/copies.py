"""`serve`, `push` and `export`: the registry where stations can read it."""

import argparse
from pathlib import Path
from typing import Any

from taktgate.registry.commands.opened import publisher
from taktgate.registry.commands.output import Result, progress
from taktgate.registry.delivery.export import Selection, export
from taktgate.registry.delivery.published import StaticFile, published
from taktgate.registry.delivery.removal import prune_copy
from taktgate.registry.delivery.sending import Delivered, deliver
from taktgate.registry.signed.repository import utc_now


def serve(arguments: argparse.Namespace) -> Result:
    """Serve the registry over HTTP until a signal ends it."""
    from aiohttp import web  # what is needed by this verb only

    from taktgate.registry.delivery.serving import application

    if not 0 <= arguments.port <= 65535:
        raise ValueError(f"--port: must be 0 to 65535, got {arguments.port}")
    published(arguments.registry)
    web.run_app(
        application(arguments.registry),
        host=arguments.host,
        port=arguments.port,
        print=progress,
        access_log=None,
    )
    return Result(document={"served": str(arguments.registry)}, lines=[])


def push(arguments: argparse.Namespace) -> Result:
    """Bring an Azure Blob container to the newest state."""
    from taktgate.registry.delivery.blob import BlobContainer  # what is needed by this verb only

    if not arguments.blob:
        raise ValueError("--blob: must be the URL of a container with its SAS, or @FILE")
    container = BlobContainer(_secret(arguments.blob))
    state = published(arguments.registry)
    done = deliver(state, container, on_file=_say)
    document, lines = _document(done) | {"removed": []}, [_line(done)]
    if arguments.prune:
        progress(f"pushed: {_line(done)}")  # said by now, should the rest be refused
        removed = prune_copy(state, container, now=utc_now()).removed
        document["removed"] = list(removed)
        lines = [f"{len(removed)} files of old metadata removed"]
    return Result(document=document, lines=lines)


def export_to(arguments: argparse.Namespace) -> Result:
    """Copy released bundles to a stick."""
    days = arguments.days_valid
    if days is not None and not 1 <= days <= 3650:
        raise ValueError(f"--days-valid: must be 1 to 3650, got {days}")
    selection = Selection(
        device_classes=arguments.classes, names=arguments.names, versions=arguments.versions
    )
    done = export(
        publisher(arguments).files,
        arguments.usb,
        selection=selection,
        days_valid=days,
        on_file=_say,
    )
    bundles = [f"{its.name} {its.version} for {its.device_class}" for its in done.bundles]
    document = _document(done.delivered) | {
        "bundles": bundles,
        "expires": done.expires.isoformat(),
        "repository": arguments.usb.resolve().as_uri(),
    }
    lines = [
        *bundles,
        _line(done.delivered) + ", read back whole",
        f"stations take it until {done.expires:%Y-%m-%d %H:%M} UTC, "
        f"as {arguments.usb.resolve().as_uri()} where it is mounted there too",
    ]
    return Result(document=document, lines=lines)


def _secret(given: str) -> str:
    if not given.startswith("@"):
        return given
    return Path(given[1:]).read_text(encoding="utf-8").strip()


def _say(file: StaticFile) -> None:
    progress(f"  {file.size_bytes / 1e6:8.1f} MB  {file.name}")


def _document(done: Delivered) -> dict[str, Any]:
    return {"written": list(done.written), "writtenBytes": done.written_bytes, "kept": done.kept}


def _line(done: Delivered) -> str:
    return (
        f"{len(done.written)} files written, {done.written_bytes / 1e6:.1f} MB; "
        f"{done.kept} were there already"
    )
