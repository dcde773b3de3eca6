"""The code broken on purpose, one line at a time: each mutant must be caught by an invariant.

A mutant is real source text, changed in a copy; its campaign runs in a process of its own, on a
scenario or two, and ends at the first violation. A text that is not found, or not once, is an error
of this list and not a mutant that was killed.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SRC: Final = Path(__file__).parents[2] / "src"
_LIMIT_S: Final = 240


@dataclass(frozen=True, slots=True, kw_only=True)
class Mutant:
    """One broken rule.

    Attributes:
        name: What is broken.
        file: Below src/taktgate.
        old: The text that is there once.
        new: What takes its place.
        scenarios: Where it shows.
        also: Further changes, of a rule that is kept in more than one place: file, old and new.
    """

    name: str
    file: str
    old: str
    new: str
    scenarios: tuple[str, ...]
    also: tuple[tuple[str, str, str], ...] = ()

    @property
    def edits(self) -> tuple[tuple[str, str, str], ...]:
        """Return all changes: file, old text, new text."""
        return ((self.file, self.old, self.new), *self.also)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What became of a mutant: *invariant* has caught it, None when nothing has."""

    mutant: str
    invariant: str | None
    detail: str


MUTANTS: Final = (
    Mutant(
        name="no fsync of a file",
        file="edge/files.py",
        old="            files.sync(descriptor)\n",
        new="",
        scenarios=("first", "activation"),
    ),
    Mutant(
        name="no fsync of the folder after a rename",
        file="edge/files.py",
        old="    files.sync_folder(path.parent)\n",
        new="",
        scenarios=("activation",),
    ),
    Mutant(
        name="rename before fsync",
        file="edge/files.py",
        old="""        write_through(temporary, content, mode=mode, files=files)
        files.rename(temporary, path)
""",
        new="""        descriptor = files.create(temporary, mode=mode)
        write_whole(descriptor, content, files=files)
        files.rename(temporary, path)
        files.sync_folder(path.parent)
        files.sync(descriptor)
        files.close(descriptor)
""",
        scenarios=("activation",),
    ),
    Mutant(
        name="activation.json written in place",
        file="inspection/activation_file.py",
        old="        publish(path, content, files=self.files)\n",
        new="""        from taktgate.edge.files import discard, write_through

        discard(path, files=self.files)
        write_through(path, content, files=self.files)
        self.files.sync_folder(path.parent)
""",
        scenarios=("activation",),
    ),
    Mutant(
        name="names in the unpacked folder not synced",
        file="staging/slots/slots.py",
        old="        self._disk.sync_folder(partial)\n",
        new="",
        scenarios=("second",),
    ),
    Mutant(
        name="names of golden images not synced",
        file="staging/slots/slots.py",
        old="            self._disk.sync_folder(golden)\n",
        new="            pass\n",
        scenarios=("second",),
    ),
    Mutant(
        name="a slot's name not synced before it is announced",
        file="staging/slots/slots.py",
        old="        self._disk.sync_folder(self._root)\n        return shelved\n",
        new="        return shelved\n",
        scenarios=("second",),
    ),
    Mutant(
        name="pointer before data",
        file="staging/slots/slots.py",
        old="""        self._disk.rename(bundle.directory, slot)
        self._disk.sync_folder(self._root)
        return shelved
""",
        new="""        from taktgate.contracts import CONTRACT_VERSION
        from taktgate.contracts.codec import encode
        from taktgate.contracts.staged import ActivationPolicy, StagedModel

        notice = StagedModel(
            contract=CONTRACT_VERSION, model=shelved.model, order="o2", slot=shelved.slot,
            activation=ActivationPolicy.IMMEDIATE,
        )
        self._disk.publish(self._root / "announced.json", encode(notice))
        self._disk.rename(bundle.directory, slot)
        self._disk.sync_folder(self._root)
        return shelved
""",
        scenarios=("second",),
    ),
    Mutant(
        name="no digest check before a model is loaded",
        file="bundle/reading.py",
        old="    if digest != its.sha256:",
        new="    if False:",
        scenarios=("damaged",),
    ),
    Mutant(
        name="spool taken as complete without its hash",
        file="staging/fetch/download_file.py",
        old="if whole.hexdigest() == sha256:",
        new="if True:",
        scenarios=("second", "resumed"),
        also=(
            (
                "staging/fetch/spool.py",
                "        if is_taken_up and self._file.sha256 != offer.sha256:\n",
                "        if False:\n",
            ),
            (
                "staging/fetch/spool.py",
                "        if self._file.sha256 != offer.sha256:\n",
                "        if False:\n",
            ),
        ),
    ),
    Mutant(
        name="collect ignores the activation",
        file="staging/activation.py",
        old="    return frozenset(its.slot for its in held if its is not None)\n",
        new="    return frozenset()\n",
        scenarios=("collection",),
    ),
    Mutant(
        name="last-known-good moved before it is confirmed",
        file="inspection/agent/activation.py",
        old="generation=activation.generation + 1, trial=trial, baseline=baseline)",
        new="generation=activation.generation + 1, trial=trial, baseline=baseline, "
        "last_known_good=trial.candidate)",
        scenarios=("activation",),
    ),
    Mutant(
        name="swap before the trial is durable",
        file="inspection/agent/course.py",
        old="        before = ledger.activation.trial\n",
        new="        self._context.commands.swap(candidate)\n"
        "        before = ledger.activation.trial\n",
        scenarios=("activation",),
    ),
    Mutant(
        name="a rollback is not written down",
        file="inspection/agent/activation.py",
        old="        blocked=(*activation.blocked, rollback)[-MAX_BLOCKED:],\n",
        new="",
        scenarios=("rollback",),
    ),
    Mutant(
        name="a barred digest is announced again",
        file="staging/installer.py",
        old="    if bar is not None:\n",
        new="    if False:\n",
        scenarios=("rollback",),
    ),
    Mutant(
        name="a damaged slot is left as it is",
        file="staging/stager.py",
        old="                self._journal.advance(Event.DAMAGED)\n",
        new="                pass\n",
        scenarios=("damaged",),
    ),
    Mutant(
        name="attempts of a trial are not counted",
        file="inspection/agent/course.py",
        old="        self._attempts += 1\n",
        new="        self._attempts += 2\n",
        scenarios=("retrial",),
    ),
    Mutant(
        name="what was fetched of a refused order stays after a cut",
        file="staging/stager.py",
        old="                self._slots.drop_spools()  # the power may have gone before that\n",
        new="                pass\n",
        scenarios=("unfit",),
    ),
    Mutant(
        name="what was sent back meanwhile is announced",
        file="staging/installer.py",
        old="        require_not_barred(self._activation.read(), shelved.model.digest, request)\n",
        new="",
        scenarios=("barred_late",),
    ),
    Mutant(
        name="metadata kept beside the port",
        file="staging/slots/disk.py",
        old="        publish(path, content, files=self.files)\n",
        new="        path.write_bytes(content)\n",
        scenarios=("second",),
    ),
)


def hunt(
    folder: Path, said: Callable[[Fate], None], *, workers: int, mutants: Sequence[Mutant] = MUTANTS
) -> list[Fate]:
    """Run every mutant; return what became of each."""
    with ThreadPoolExecutor(workers) as pool:
        fates = []
        for fate in pool.map(lambda mutant: run_mutant(mutant, folder), mutants):
            said(fate)
            fates.append(fate)
    return fates


def run_mutant(mutant: Mutant, folder: Path) -> Fate:
    """Run one mutant in a copy of the sources below *folder*.

    Raises:
        ValueError: its text is not there, or not once.
    """
    place = folder / mutant.name.replace(" ", "-")
    break_copy(mutant, place)
    paths = [str(place), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    command = [sys.executable, "-m", "crash_campaign", "--hunt", ",".join(mutant.scenarios)]
    try:
        done = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            capture_output=True,
            timeout=_LIMIT_S,
            check=False,
            text=True,
        )
    except subprocess.TimeoutExpired:
        return Fate(mutant=mutant.name, invariant="completes", detail="does not end")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    if done.returncode != 0:
        return Fate(mutant=mutant.name, invariant=None, detail=done.stderr[-600:])
    answer = json.loads(done.stdout)
    return Fate(mutant=mutant.name, invariant=answer["invariant"], detail=answer["detail"])


def break_copy(mutant: Mutant, place: Path) -> None:
    """Copy the sources to *place*/taktgate and break them there.

    Raises:
        ValueError: the text is not there, or not once.
    """
    texts = broken_texts(mutant)
    ignore = shutil.ignore_patterns("samples", "__pycache__")
    shutil.copytree(_SRC / "taktgate", place / "taktgate", ignore=ignore)
    (place / "taktgate/standin/samples").symlink_to(_SRC / "taktgate/standin/samples")
    for file, text in texts.items():
        (place / "taktgate" / file).write_text(text, encoding="utf-8")


def broken_texts(mutant: Mutant) -> dict[str, str]:
    """Return the sources that *mutant* changes, broken, by file.

    Raises:
        ValueError: a text is not there, or not once.
    """
    texts: dict[str, str] = {}
    for file, old, new in mutant.edits:
        text = texts.get(file) or (_SRC / "taktgate" / file).read_text(encoding="utf-8")
        if text.count(old) != 1:
            count = text.count(old)
            raise ValueError(f"mutant {mutant.name!r}: its text is {count} times in {file}")
        texts[file] = text.replace(old, new)
    return texts
