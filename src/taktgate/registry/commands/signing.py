"""`init`, `rotate-key` and `renew`: the keys of a registry, and how long what they sign lasts."""

import argparse
from typing import Final

from pydantic import ValidationError
from tuf.api.metadata import Root, Targets

from taktgate.registry.commands.opened import publisher
from taktgate.registry.commands.output import Result
from taktgate.registry.signed.keys import name_of
from taktgate.registry.signed.publishing import Publisher, RootKeys
from taktgate.registry.signed.repository import METADATA
from taktgate.registry.signed.rotation import renew, rotate
from taktgate.registry.signed.settings import DaysValid, RegistrySettings

_OFFLINE: Final = (Root.type, Targets.type)
"""Roles that sign rarely: whoever takes the publishing machine should not get their keys."""


def init(arguments: argparse.Namespace) -> Result:
    """Begin a registry."""
    keys = RootKeys(count=arguments.root_keys, threshold=arguments.root_threshold)
    settings = RegistrySettings(days_valid=_days(arguments))
    its = publisher(arguments)
    its.init(root_keys=keys, settings=settings)
    places = _places(its)
    offline = [name for role in _OFFLINE for name in places[role]]
    root = arguments.registry / METADATA / "1.root.json"
    document = {"registry": str(arguments.registry), "firstRoot": str(root), "keys": places}
    lines = [
        f"registry in {arguments.registry}; root needs {keys.threshold} of {keys.count} keys",
        *(f"  {name:<14} {path}" for role in places for name, path in places[role].items()),
        f"take offline, the root keys each to another place: {', '.join(offline)}",
        f"let stations trust it: copy {root} to their config/trusted_root.json",
    ]
    return Result(document=document, lines=lines)


def rotate_key(arguments: argparse.Namespace) -> Result:
    """Replace the keys of a role."""
    if arguments.lost and arguments.role != Root.type:
        raise ValueError("--lost: only root has more than one key; leave it out for other roles")
    its = publisher(arguments)
    done = rotate(its.files, arguments.role, lost=arguments.lost)
    added = {name: str(its.files.keys.path_of(name)) for name in done.added}
    lines = [f"{done.role}: {', '.join(done.removed) or 'a rotation that was cut off'} replaced by"]
    lines += [f"  {name:<14} {path}" for name, path in added.items()]
    document = {"role": done.role, "removed": list(done.removed), "added": added}
    return Result(document=document, lines=lines)


def renew_expiring(arguments: argparse.Namespace) -> Result:
    """Sign anew what expires soon; a role that is due without its keys makes it a failure."""
    if arguments.within is not None and not 0 <= arguments.within <= 3650:
        raise ValueError(f"--within: must be 0 to 3650, got {arguments.within:g}")
    files = publisher(arguments).files
    done = renew(files, arguments.roles, within_days=arguments.within)
    expires = {role: files.open(role).signed.expires for role in (*done.renewed, *done.missing)}
    lines = [f"renewed {role}: until {expires[role]:%Y-%m-%d %H:%M} UTC" for role in done.renewed]
    lines += [
        f"DUE     {role}: expires {expires[role]:%Y-%m-%d %H:%M} UTC, its keys are not at hand"
        for role in done.missing
    ]
    document = {
        "renewed": {role: expires[role].isoformat() for role in done.renewed},
        "missing": {role: expires[role].isoformat() for role in done.missing},
    }
    return Result(
        document=document, lines=lines or ["nothing is due"], code=1 if done.missing else 0
    )


def _days(arguments: argparse.Namespace) -> DaysValid:
    days = {role: getattr(arguments, f"days_valid_{role}") for role in DaysValid.model_fields}
    try:
        return DaysValid(**days)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        raise ValueError(f"--days-valid-{first['loc'][0]}: {first['msg']}") from error


def _places(its: Publisher) -> dict[str, dict[str, str]]:
    files = its.files
    return {
        role: {name_of(key): str(files.keys.path_of(name_of(key))) for key in files.keys_of(role)}
        for role in files.roles()
    }
