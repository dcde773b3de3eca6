"""`taktgate registry`: its commands and their options."""

import argparse
import os
from pathlib import Path
from typing import Any, Final

from taktgate.bundle.compatibility import MATRIX
from taktgate.registry.commands.places import KEYS_VARIABLE, PASSPHRASES_VARIABLE

REGISTRY_VARIABLE: Final = "TAKTGATE_REGISTRY"
BLOB_VARIABLE: Final = "TAKTGATE_REGISTRY_BLOB"
_EPILOG: Final = f"""\
example:
  taktgate registry init --registry registry --keys registry-keys
  taktgate registry add weld-seam-1.2.0-cpu.bundle
  taktgate registry promote weld-seam 1.2.0 --class cpu --to ci_passed
  taktgate registry promote weld-seam 1.2.0 --class cpu --to hil_passed --hil-report hil.json
  taktgate registry promote weld-seam 1.2.0 --class cpu --to released
  taktgate registry push --blob @container-sas-url.txt

environment:
  {REGISTRY_VARIABLE:<23} folder of the registry, if --registry is not given
  {KEYS_VARIABLE:<23} folders of private keys, separated by {os.pathsep!r}, if --keys is not given
  {PASSPHRASES_VARIABLE}
  {"":<23} files of passphrases, separated likewise, if --passphrase-file is not given
  {BLOB_VARIABLE:<23} URL of the container with its SAS, if --blob is not given

exit codes:
  0  done
  1  refused or failed; what stations see is unchanged
  2  wrong usage
"""
_Verbs = Any


def add_commands(commands: Any) -> None:
    """Add `registry` to the commands of `taktgate`."""
    registry = commands.add_parser(
        "registry",
        help="publish models: a signed registry (TUF) that stations stage from",
        description="Publish models in a signed registry that stations stage from.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    verbs = registry.add_subparsers(dest="verb", metavar="COMMAND", required=True)
    for add in (_add_init, _add_add, _add_promote, _add_revoke, _add_floor, _add_rotate_key):
        add(verbs)
    for add in (_add_renew, _add_prune, _add_list, _add_serve, _add_push, _add_export):
        add(verbs)


def _run(arguments: argparse.Namespace) -> int:
    # python-tuf takes a quarter of a second to import: `--help` and the rest do without.
    from taktgate.registry.commands.verbs import run

    return run(arguments)


def _verb(
    verbs: _Verbs, name: str, words: str, example: str, *, is_signing: bool = True
) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = verbs.add_parser(
        name, help=words, description=words, epilog=f"example: taktgate registry {name} {example}"
    )
    parser.add_argument(
        "--registry",
        type=Path,
        default=Path(os.environ.get(REGISTRY_VARIABLE) or "registry"),
        metavar="DIR",
        help="folder of the registry (default: %(default)s)",
    )
    if is_signing:
        parser.add_argument(
            "--keys",
            type=Path,
            action="append",
            metavar="DIR",
            help="folder of private keys; may be given again, new keys go into the first",
        )
        parser.add_argument(
            "--passphrase-file",
            type=Path,
            action="append",
            metavar="FILE",
            help="its first line opens encrypted keys; may be given again, "
            "new keys are encrypted by the first",
        )
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.set_defaults(run=_run)
    return parser


def _add_init(verbs: _Verbs) -> None:
    parser = _verb(verbs, "init", "begin a registry with new keys", "--root-keys 5")
    parser.add_argument("--root-keys", type=int, default=3, metavar="N", help="default: 3")
    parser.add_argument(
        "--root-threshold", type=int, default=2, metavar="N", help="so many must sign (default: 2)"
    )
    for role, days in (("root", 365), ("targets", 365), ("snapshot", 30), ("timestamp", 7)):
        parser.add_argument(
            f"--days-valid-{role}",
            type=int,
            default=days,
            metavar="DAYS",
            help=f"until {role} metadata must be renewed (default: {days})",
        )


def _add_add(verbs: _Verbs) -> None:
    parser = _verb(verbs, "add", "add bundles, or a source model", "weld-seam-1.2.0-cpu.bundle")
    parser.add_argument("bundles", nargs="*", type=Path, metavar="BUNDLE")
    parser.add_argument("--source", type=Path, metavar="FILE", help="source.json of a source model")
    parser.add_argument("--onnx", type=Path, metavar="FILE", help="its ONNX file")
    parser.add_argument(
        "--trusted-keys",
        type=Path,
        default=Path("config/trusted_keys"),
        metavar="DIR",
        help="public keys that may have signed a bundle (default: %(default)s)",
    )
    parser.add_argument(
        "--matrix",
        type=Path,
        default=MATRIX,
        metavar="YAML",
        help="the device classes there are (default: %(default)s); no bundle is added without it",
    )


def _add_promote(verbs: _Verbs) -> None:
    parser = _verb(
        verbs,
        "promote",
        "move a bundle one step towards the stations",
        "weld-seam 1.2.0 --class cpu --to released --waive-hil 'no rig; signed off by J. Doe'",
    )
    _add_bundle(parser)
    parser.add_argument("--to", required=True, choices=("ci_passed", "hil_passed", "released"))
    reports = parser.add_mutually_exclusive_group()
    reports.add_argument("--ci-report", type=Path, metavar="FILE", help="JSON; for ci_passed")
    reports.add_argument("--hil-report", type=Path, metavar="FILE", help="JSON; for hil_passed")
    reports.add_argument(
        "--waive-hil", default="", metavar="WHY", help="release without HIL: who says so, and why"
    )


def _add_revoke(verbs: _Verbs) -> None:
    parser = _verb(
        verbs, "revoke", "take a bundle back", "weld-seam 1.2.0 --class cpu --reason 'misses pores'"
    )
    _add_bundle(parser)
    parser.add_argument("--reason", required=True, metavar="WHY", help="stations report it")


def _add_floor(verbs: _Verbs) -> None:
    parser = _verb(
        verbs, "floor", "let no station run what is older than this", "weld-seam 1.2.0 --class cpu"
    )
    _add_bundle(parser)


def _add_bundle(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("name", metavar="NAME")
    parser.add_argument("version", metavar="VERSION")
    parser.add_argument("--class", dest="device_class", required=True, metavar="CLASS")


def _add_rotate_key(verbs: _Verbs) -> None:
    parser = _verb(
        verbs,
        "rotate-key",
        "replace the keys of a role",
        "root --lost root-2 --keys registry-keys --keys /media/stick",
    )
    parser.add_argument(
        "role", metavar="ROLE", help="root, targets, snapshot, timestamp, sources, class.CLASS"
    )
    parser.add_argument("--lost", metavar="KEY", help="replace only this one of the root keys")


def _add_renew(verbs: _Verbs) -> None:
    parser = _verb(verbs, "renew", "sign anew what expires soon", "timestamp snapshot")
    parser.add_argument("roles", nargs="*", metavar="ROLE", help="only these (default: all)")
    parser.add_argument(
        "--within",
        type=float,
        metavar="DAYS",
        help="what expires by then (default: what has less than a third of its time left)",
    )


def _add_prune(verbs: _Verbs) -> None:
    parser = _verb(
        verbs,
        "prune",
        "remove old metadata: snapshots that expired a day ago, and what only they name",
        "--dry-run",
        is_signing=False,
    )
    parser.add_argument("--dry-run", action="store_true", help="only say what would be removed")


def _add_list(verbs: _Verbs) -> None:
    _verb(verbs, "list", "show bundles, their states, and expiries", "--json")


def _add_serve(verbs: _Verbs) -> None:
    parser = _verb(
        verbs,
        "serve",
        "serve the registry over HTTP on the shop floor",
        "--host 0.0.0.0 --port 8080",
        is_signing=False,
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default: %(default)s)"
    )
    parser.add_argument("--port", type=int, default=8080, help="0 takes a free one (default: 8080)")


def _add_push(verbs: _Verbs) -> None:
    parser = _verb(
        verbs,
        "push",
        "bring an Azure Blob container to the newest state",
        "--blob @container-sas-url.txt",
        is_signing=False,
    )
    parser.add_argument(
        "--blob",
        default=os.environ.get(BLOB_VARIABLE),
        metavar="CONTAINER_SAS_URL",
        help="its SAS needs read, create, write, list; @FILE reads it from a file",
    )
    parser.add_argument(
        "--prune",
        action="store_true",
        help="then remove old metadata there, as prune does here; the SAS needs delete, too",
    )


def _add_export(verbs: _Verbs) -> None:
    parser = _verb(
        verbs,
        "export",
        "copy released bundles to a stick, for stations without a network",
        "--usb /media/stick --class cpu --days-valid 90",
    )
    parser.add_argument("--usb", type=Path, required=True, metavar="DIR")
    for option, dest in (("--class", "classes"), ("--name", "names"), ("--version", "versions")):
        parser.add_argument(
            option, dest=dest, action="append", default=[], help="only these; may be given again"
        )
    parser.add_argument(
        "--days-valid",
        type=int,
        metavar="DAYS",
        help="let the copy last longer than the registry's timestamp; needs its key",
    )
