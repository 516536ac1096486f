"""The sentence that a verdict is told in."""

from typing import Any

import pytest

from nnunet_api.comparison.contract import CandidateFacts
from nnunet_api.comparison.words import points, sentence


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (
            {"difference": -0.018, "low": -0.027, "high": -0.009, "verdict": "Inferior"},
            "fast loses 1.8 points (0.9 to 2.7) of Dice against standard: Inferior at a margin of 1 point",
        ),
        (
            {"difference": 0.012, "low": 0.002, "high": 0.022, "verdict": "Superior"},
            "fast gains 1.2 points (0.2 to 2.2) of Dice against standard: Superior at a margin of 1 point",
        ),
        (
            {"difference": -0.002, "low": -0.006, "high": 0.002, "verdict": "Equivalent"},
            "fast loses 0.2 points (-0.2 to 0.6) of Dice against standard: Equivalent at a margin of 1 point",
        ),
        (
            {
                "difference": -0.01,
                "low": -0.05,
                "high": 0.03,
                "verdict": "Inconclusive",
                "casesNeeded": 56,
                "replicatesNeeded": 7,
                "worstClass": "tumour",
                "worstClassDifference": -0.04,
            },
            "fast loses 1 point (-3 to 5) of Dice against standard: Inconclusive at a margin of 1 point; worst: "
            "tumour, 4 points; it would take 56 cases or 7 replicates in each arm to tell",
        ),
        (
            {"difference": -0.01, "low": -0.05, "high": 0.03, "verdict": "Inconclusive", "patientsNeeded": 40},
            "fast loses 1 point (-3 to 5) of Dice against standard: Inconclusive at a margin of 1 point; it would take "
            "40 patients to tell",
        ),
        (
            {
                "difference": 0.0,
                "low": 0.0,
                "high": 0.0,
                "verdict": "IndicativeEquivalent",
                "worstClass": "tumour",
                "worstClassDifference": 0.001,
            },
            "fast gains 0 points (0 to 0) of Dice against standard: IndicativeEquivalent at a margin of 1 point",
        ),
    ],
)
def test_a_verdict_in_a_sentence(facts: dict[str, Any], words: str) -> None:
    assert sentence(CandidateFacts.model_validate({"arm": "fast", **facts}), "standard", 0.01) == words


@pytest.mark.parametrize(
    ("value", "words"), [(0.01, "1 point"), (0.0004, "0.04 points"), (0.105, "10.5 points"), (0, "0 points")]
)
def test_points(value: float, words: str) -> None:
    assert points(value) == words
