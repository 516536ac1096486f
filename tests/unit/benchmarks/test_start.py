"""The benchmark of start-up: rows and page from what was measured."""

from pathlib import Path
from typing import Any

from hack.benchmarks.start.report import STAGES, page, rows, table

PAGE = Path(__file__).parents[3] / "docs/benchmarks/start.md"


def cost(side: str, stage: str, cpu_seconds: float) -> dict[str, Any]:
    return {"side": side, "stage": stage, "cpu_seconds": cpu_seconds, "seconds": cpu_seconds / 2}


COSTS = [
    *(cost("before", "plan", seconds) for seconds in (40, 44, 90)),
    *(cost("plain", "plan", seconds) for seconds in (20, 22, 23)),
    *(cost("trainer", "plan", seconds) for seconds in (11, 11, 12)),
    cost("before", "verify", 2),
    cost("trainer", "verify", 1),
]


def test_each_stage_has_the_median_of_its_rounds_and_the_ratios_of_them() -> None:
    head, *lines = table(rows(COSTS))
    sides = ["plain nnU-Net", "trainer before"]
    assert head[1:] == [*sides, "trainer", *(f"trainer / {side}" for side in sides)]
    by_name = {line[0]: line[1:] for line in lines}
    assert by_name[STAGES["plan"]] == ["22.0", "44.0", "11.0", "0.50", "0.25"]
    assert by_name[STAGES["verify"]] == ["", "2.0", "1.0", "", "0.50"]


def test_the_sum_is_that_of_the_stages_that_all_sides_have() -> None:
    assert table(rows(COSTS))[-1] == ["all of them that all have", "22.0", "44.0", "11.0", "0.50", "0.25"]


def test_the_page_has_the_rows_that_the_benchmark_writes() -> None:
    assert "Median of 3 rounds" in page(rows(COSTS), {"rounds": 3, "processes": 4})
    named = [line.split("|")[1].strip() for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert named[2:-1] == list(STAGES.values())
