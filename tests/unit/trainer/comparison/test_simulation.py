"""How often the intervals and claims are right, over made-up comparisons with effects of seeds.

`make test-soak` draws thousands; the figures are in docs/benchmarks/comparison.md.
"""

from dataclasses import dataclass

import pytest

from nnunet_trainer.comparison.estimate import estimate
from nnunet_trainer.comparison.verdict import Verdict, verdicts
from tests.support import sizes
from tests.unit.trainer.comparison.made_arms import made

MARGIN = 0.01
DRAWS = sizes.COMPARISONS
SLACK = 0.0 if sizes.SOAK else 0.12
"""What so few draws may be off by chance."""


@dataclass(frozen=True)
class Setting:
    """A way in which comparisons are made."""

    replicates: int
    cases: int
    of_seeds: float
    """Standard deviation of a replicate's score, by its seed alone."""


SETTINGS = [Setting(3, 50, 0.004), Setting(5, 100, 0.004), Setting(3, 30, 0.006), Setting(3, 200, 0.003)]


@pytest.mark.soak
@pytest.mark.parametrize("setting", SETTINGS if sizes.SOAK else SETTINGS[:1], ids=str)
def test_intervals_cover_and_claims_are_rarely_wrong(setting: Setting) -> None:
    covered = wrong = 0
    for draw in range(DRAWS):
        # The worst truth for a claim that the loss is below the margin: it is the margin.
        arms = made(
            draw,
            (setting.replicates, setting.replicates),
            setting.cases,
            differences=(0.0, -MARGIN),
            of_seeds=setting.of_seeds,
        )
        found = estimate(arms[0], arms[1], draw)
        low, high = found.interval(0.95)
        covered += low <= -MARGIN <= high
        (verdict,) = verdicts([found], MARGIN, 0.05)
        wrong += verdict in (Verdict.NON_INFERIOR, Verdict.SUPERIOR)
    print(f"{setting}: coverage {covered / DRAWS:.3f}, non-inferiority wrongly claimed {wrong / DRAWS:.3f}")
    assert covered / DRAWS >= 0.93 - SLACK, "the type I error of a difference is 1 minus this"
    assert wrong / DRAWS <= 0.03 + SLACK
