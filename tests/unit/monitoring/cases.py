"""Builders for the cases of the alerts: series, and what an alert makes of them."""

from dataclasses import dataclass
from typing import Any

OF = {"namespace": "clinic", "training": "hippo"}
FOLD = {**OF, "fold": "0"}
HOUR, DAY = 60, 24 * 60
"""Minutes."""
WARNING, CRITICAL, INFO = ({"severity": severity} for severity in ("warning", "critical", "info"))

Series = dict[str, str]


def series(name: str, values: str, **labels: str) -> Series:
    """Return a series with a value a minute, in promtool's notation.

    `1x5` is 1 six times, `_x5` nothing five times, `0+2x3` is 0 2 4 6; `stale` is what a scrape leaves behind that
    finds the series or its pod no longer.
    """
    inside = ",".join(f'{label}="{value}"' for label, value in labels.items())
    return {"series": f"{name}{{{inside}}}", "values": values}


def fold(name: str, values: str, pod: str = "a", **labels: str) -> Series:
    """Return a series of the trainer of fold 0 of hippo."""
    return series(name, values, **FOLD, pod=f"hippo-fold-0-{pod}", **labels)


def of(name: str, values: str, **labels: str) -> Series:
    """Return a series that the operator has on hippo."""
    return series(name, values, **OF, **labels)


def phase(values: str, word: str) -> Series:
    """Return the series of a phase of hippo."""
    return of("nnunet_training_phase", values, phase=word)


@dataclass(frozen=True)
class Case:
    """Series, and what an alert makes of them after so many minutes."""

    alert: str
    what: str
    minutes: int
    series: list[Series]
    labels: dict[str, str] | None = None
    """Those of the alert that fires; None where none does."""
    summary: str = ""

    @property
    def name(self) -> str:
        """Alert and situation, in one line."""
        return f"{self.alert}: {self.what}"

    @property
    def is_long(self) -> bool:
        """It takes hours, and is evaluated every 10 minutes only."""
        return self.minutes >= 5 * HOUR

    def as_promtool(self) -> dict[str, Any]:
        """Return it in the form of promtool's tests."""
        fired = {"exp_labels": self.labels, "exp_annotations": {"summary": self.summary}}
        rule = {
            "eval_time": f"{self.minutes}m",
            "alertname": f"Nnunet{self.alert}",
            "exp_alerts": [] if self.labels is None else [fired],
        }
        return {"name": self.name, "interval": "1m", "input_series": self.series, "alert_rule_test": [rule]}


def fires(alert: str, what: str, minutes: int, series: list[Series], labels: dict[str, str], summary: str) -> Case:
    """Return a case in which the alert fires."""
    return Case(alert, what, minutes, series, labels, summary)


def quiet(alert: str, what: str, minutes: int, *series: Series) -> Case:
    """Return a case in which it does not."""
    return Case(alert, what, minutes, list(series))
