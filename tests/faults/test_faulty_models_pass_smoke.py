"""A model that misbehaves later is not the smoke test's business: shadow and trial find it."""

from pathlib import Path

import pytest

from taktgate.bundle.archive import unpack
from taktgate.bundle.manifest import Manifest, digest_of
from taktgate.bundle.verification import VerifiedBundle
from taktgate.staging.smoke.sandbox import Sandbox
from taktgate.standin.demo.samples import WELD_SEAMS
from taktgate.standin.faulty_models.bundles import write_faulty
from taktgate.standin.faulty_models.graphs import Harm


@pytest.mark.parametrize("harm", [Harm.NAN, Harm.CRASH, Harm.HANG])
def test_it_passes_what_it_is_shown_here(tmp_path: Path, harm: Harm) -> None:
    file = tmp_path / "faulty.bundle"
    sample = WELD_SEAMS.bundle(WELD_SEAMS.first)
    write_faulty(sample, harm, version="9.0.0", delay_ms=50.0, to=file)
    unpack(file, tmp_path / "slot")
    data = (tmp_path / "slot/manifest.json").read_bytes()
    bundle = VerifiedBundle(
        directory=tmp_path / "slot", manifest=Manifest.parse(data), digest=digest_of(data)
    )
    result = Sandbox(memory_mb=1024, limit_s=30.0).test(bundle, lambda: None)
    assert result.figures is not None
