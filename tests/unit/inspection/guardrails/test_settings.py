from pathlib import Path

import pytest

from taktgate.edge.places import SettingsError
from taktgate.edge.settings import load_yaml
from taktgate.inspection.guardrails.settings import GuardrailSettings, load_guardrails

CONFIG = Path(__file__).parents[4] / "config"


def test_the_shipped_file_says_what_the_code_does_by_default() -> None:
    assert load_guardrails(CONFIG) == GuardrailSettings()


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("trial_parts: 3", "trial_parts"),
        ("over_reject: {factor: 0.5}", "over_reject.factor"),
        ("latency: {budget_share: 2}", "latency.budget_share"),
        ("escape_or_disagreement: {min_agreement: 1.0}", "escape_or_disagreement.min_agreement"),
        ("drift: {limit: .nan}", "drift.limit"),
        ("surprise: 1", "surprise"),
    ],
)
def test_a_bad_file_is_refused_by_field(tmp_path: Path, text: str, field: str) -> None:
    (tmp_path / "guardrails.yaml").write_text(text)

    with pytest.raises(SettingsError, match=field):
        load_yaml(tmp_path / "guardrails.yaml", GuardrailSettings)
