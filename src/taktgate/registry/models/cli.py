"""`taktgate model`: from a trained ONNX file to a bundle, and from a verdict's version back to it.

What needs numpy, ONNX Runtime or python-tuf is imported by the command that needs it: `--help` is
there at once, and where they are missing.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from taktgate.bundle.compatibility import MATRIX, CompatibilityMatrix, check
from taktgate.bundle.errors import BundleError
from taktgate.bundle.manifest import NAME_PATTERN
from taktgate.bundle.signing import SigningKey, TrustedKeys
from taktgate.registry.models.errors import ModelError

EXIT_DONE: Final = 0
EXIT_REFUSED: Final = 1
EXIT_TROUBLE: Final = 2
KEYS: Final = Path("config/trusted_keys")
_LEVELS: Final = ("basic", "extended", "all")
_CODES: Final = """
exit codes:
  0  done (diff: the same in meaning; trace: whole)
  1  refused or failed, nothing was written (diff: they differ; trace: a hole)
  2  the command line is wrong (diff: a bundle cannot be read)
"""


def add_commands(commands: Any) -> None:
    """Add `model` and what it can do to an argparse sub-parser collection."""
    model = commands.add_parser(
        "model",
        help="make, look into, compare, verify and trace model bundles",
        description="Make, look into, compare, verify and trace model bundles.",
        epilog=f"example: taktgate model inspect weld-seam-1.1.0.bundle\n{_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    own = model.add_subparsers(required=True, metavar="COMMAND")
    _add_pack(own)
    _add_compile(own)
    _add_inspect(own)
    _add_diff(own)
    _add_verify(own)
    _add_trace(own)


def _add(own: Any, name: str, words: str, example: str, run: Callable[..., int]) -> Any:
    parser = own.add_parser(
        name,
        help=words,
        description=f"{words[0].upper()}{words[1:]}.",
        epilog=f"example: taktgate model {name} {example}\n{_CODES}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print the result as JSON on stdout")
    parser.set_defaults(run=_guarded(name, run))
    return parser


def _add_pack(own: Any) -> None:
    example = "model.onnx --description weld.yaml --golden gold/ --test test/ --key plant.pem"
    words = "measure a trained ONNX model and write it as a signed bundle with its source.json"
    add = _add(own, "pack", words, example, _pack).add_argument
    add("model", type=Path, metavar="MODEL.onnx")
    add("--description", type=Path, required=True, metavar="YAML", help="names, lines, origin")
    add("--golden", type=Path, required=True, metavar="DIR", help="PNG in ok/ and defective/")
    add(
        "--test", type=Path, required=True, metavar="DIR", help="images that it never saw, likewise"
    )
    add("--key", type=Path, required=True, metavar="PEM", help="the private signing key")
    add("--out", type=Path, default=Path(), metavar="DIR", help="default: the current folder")
    add("--hil-report", type=Path, metavar="FILE", help="of HIL about this very model file")
    add("--runs", type=_runs, default=500, metavar="N", help="for the latency (default: 500)")
    _add_matrix(add)


def _add_compile(own: Any) -> None:
    words = "compile a portable bundle for one device class"
    example = "weld-seam-2.0.0.bundle --class cpu --version 2.0.0-ort --key plant.pem"
    add = _add(own, "compile", words, example, _compile).add_argument
    add("bundle", type=Path, metavar="BUNDLE")
    add("--class", dest="device_class", required=True, metavar="C", help="a row of the matrix")
    add("--version", type=_version, metavar="V", help="of the artifact (default: the source's)")
    add("--level", choices=_LEVELS, default="extended", help='"all" is bound to the processor')
    add("--key", type=Path, required=True, metavar="PEM", help="the private signing key")
    add("--out", type=Path, default=Path(), metavar="DIR", help="default: the current folder")
    add("--test", type=Path, metavar="DIR", help="measure the claims anew on these images")
    add("--runs", type=_runs, default=500, metavar="N", help="for the latency (default: 500)")
    _add_trust(add)


def _add_inspect(own: Any) -> None:
    words = "show everything about a bundle, and whether it may be believed"
    parser = _add(own, "inspect", words, "weld-seam-1.1.0.bundle", _inspect)
    parser.add_argument("bundle", type=Path, metavar="FILE|DIR")
    _add_trust(parser.add_argument, matrix=False)


def _add_diff(own: Any) -> None:
    words = "show what differs between two bundles in meaning"
    parser = _add(own, "diff", words, "weld-seam-1.0.0.bundle weld-seam-1.1.0.bundle", _diff)
    parser.add_argument("before", type=Path, metavar="A")
    parser.add_argument("after", type=Path, metavar="B")


def _add_verify(own: Any) -> None:
    words = "decide as a station does: signature, digests, and what the device can run"
    example = "weld-seam-1.1.0.bundle --trusted-keys config/trusted_keys --class cpu"
    add = _add(own, "verify", words, example, _verify).add_argument
    add("bundle", type=Path, metavar="FILE|DIR")
    add("--class", dest="device_class", required=True, metavar="C", help="a row of the matrix")
    add("--machine", metavar="M", help="of the device (default: the first that the row allows)")
    _add_trust(add)


def _add_trace(own: Any) -> None:
    words = "show where a version comes from, by the registry's verified metadata"
    add = _add(own, "trace", words, "weld-seam/1.1.0 --registry registry/", _trace).add_argument
    add("version", metavar="[NAME/]VERSION")
    add("--registry", required=True, metavar="DIR|URL")
    add("--trusted-root", type=Path, metavar="FILE", help="the root metadata that stations trust")


def _add_trust(add: Any, *, matrix: bool = True) -> None:
    add("--trusted-keys", type=Path, default=KEYS, metavar="DIR|PEM", help=f"default: {KEYS}")
    if matrix:
        _add_matrix(add)


def _add_matrix(add: Any) -> None:
    words = f"the device classes there are (default: {MATRIX}); nothing is done without it"
    add("--matrix", type=Path, default=MATRIX, metavar="YAML", help=words)


def _guarded(name: str, run: Callable[..., int]) -> Callable[[argparse.Namespace], int]:
    """Return *run* with its errors as one line and an exit code."""

    def guarded(options: argparse.Namespace) -> int:
        try:
            return run(options)
        except (BundleError, ModelError) as error:
            reason, message = error.reason, str(error)
        except OSError as error:
            reason, message = "FILE", str(error)
        if options.json:
            _print({"done": False, "reason": reason, "message": message})
        _progress(f"taktgate model {name}: {reason}: {message}")
        return EXIT_TROUBLE if name == "diff" else EXIT_REFUSED

    return guarded


def _pack(options: argparse.Namespace) -> int:
    from taktgate.registry.models.packing import PackOrder, pack_model

    order = PackOrder(
        model=options.model,
        description=options.description,
        matrix=CompatibilityMatrix.load(options.matrix),
        golden=options.golden,
        test=options.test,
        key=SigningKey.load(options.key),
        out=options.out,
        hil_report=options.hil_report,
        runs=options.runs,
    )
    return _say_packed(options, pack_model(order, _progress))


def _compile(options: argparse.Namespace) -> int:
    from taktgate.registry.models.compiling import CompileOrder, compile_model
    from taktgate.registry.models.opening import open_bundle

    row = CompatibilityMatrix.load(options.matrix).row(options.device_class)
    with open_bundle(options.bundle, TrustedKeys.load(options.trusted_keys)) as opened:
        if opened.verified is None:
            assert opened.doubt is not None
            raise opened.doubt
        order = CompileOrder(
            source=opened.verified,
            row=row,
            version=options.version or opened.manifest.version,
            level=options.level,
            key=SigningKey.load(options.key),
            out=options.out,
            test=options.test,
            runs=options.runs,
        )
        return _say_packed(options, compile_model(order, _progress))


def _say_packed(options: argparse.Namespace, packed: Any) -> int:
    from taktgate.registry.models.inspecting import packed_document
    from taktgate.registry.models.screens import claims_screen, show

    if options.json:
        _print(packed_document(packed))
        return EXIT_DONE
    _print(f"{packed.bundle}  {packed.bundle.stat().st_size} bytes\n{packed.digest}")
    if packed.source is not None:
        _print(f"{packed.source}")
    show(claims_screen(packed.manifest.golden_claims))
    return EXIT_DONE


def _inspect(options: argparse.Namespace) -> int:
    from taktgate.registry.models.inspecting import bundle_document
    from taktgate.registry.models.opening import open_bundle
    from taktgate.registry.models.screens import bundle_screen, show

    keys = TrustedKeys.load(options.trusted_keys) if options.trusted_keys.exists() else None
    with open_bundle(options.bundle, keys) as opened:
        if options.json:
            _print(bundle_document(opened))
        else:
            show(bundle_screen(opened))
    return EXIT_DONE


def _diff(options: argparse.Namespace) -> int:
    from taktgate.registry.models.differences import differences
    from taktgate.registry.models.inspecting import difference_document
    from taktgate.registry.models.opening import open_bundle
    from taktgate.registry.models.screens import differences_screen, show

    with open_bundle(options.before, None) as before, open_bundle(options.after, None) as after:
        found = differences(before.manifest, after.manifest)
    if options.json:
        _print({"same": not found, "differences": [difference_document(each) for each in found]})
    else:
        show(differences_screen(found))
    return EXIT_REFUSED if found else EXIT_DONE


def _verify(options: argparse.Namespace) -> int:
    from taktgate.registry.models.opening import open_bundle

    keys = TrustedKeys.load(options.trusted_keys)
    matrix = CompatibilityMatrix.load(options.matrix)
    arch = [row.arch for row in matrix.rows if row.device_class == options.device_class]
    machine = options.machine or (arch[0][0] if arch else None)
    device = matrix.facts(options.device_class, machine)
    with open_bundle(options.bundle, keys) as opened:
        if opened.doubt is not None:
            raise opened.doubt
        check(opened.manifest, device)
        its = opened.manifest
        document = {"done": True, "name": its.name, "version": its.version, "digest": opened.digest}
    words = f"{its.name} {its.version} {opened.digest}\nfits {options.device_class} ({machine})"
    _print(document if options.json else words)
    return EXIT_DONE


def _trace(options: argparse.Namespace) -> int:
    from taktgate.registry.models.inspecting import trace_document
    from taktgate.registry.models.screens import show, trace_screen
    from taktgate.registry.models.tracing import trace
    from taktgate.registry.models.trusted import TrustedRegistry

    root = options.trusted_root.read_bytes() if options.trusted_root else None
    with tempfile.TemporaryDirectory(prefix="taktgate-trace-") as folder:
        registry = TrustedRegistry(options.registry, root=root, work=Path(folder))
        found = trace(registry, options.version)
    if options.json:
        _print(trace_document(found, is_own_root=registry.is_own_root))
    else:
        show(trace_screen(found, is_own_root=registry.is_own_root))
    return EXIT_DONE if found.is_whole else EXIT_REFUSED


def _runs(text: str) -> int:
    runs = int(text)
    if not 1 <= runs <= 1_000_000:
        raise argparse.ArgumentTypeError("must be within 1..1000000")
    return runs


def _version(text: str) -> str:
    if not re.fullmatch(NAME_PATTERN, text):
        raise argparse.ArgumentTypeError("must be small letters, digits, . and -, at most 64")
    return text


def _print(what: dict[str, Any] | str) -> None:
    """Print a result: the one place of this tool that does."""
    text = what if isinstance(what, str) else json.dumps(what, indent=2)
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _progress(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
