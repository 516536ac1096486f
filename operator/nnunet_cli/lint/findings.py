"""The findings on all trainings, for people and for scripts."""

from collections import Counter
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from rich.text import Text

from nnunet_api.comparison.model import KIND as COMPARISON
from nnunet_api.training import KIND
from nnunet_cli.lint.checks import Finding, Level, Result
from nnunet_cli.lint.documents import Document
from nnunet_cli.text.output import print_data, print_lines

_COLOURS = {
    Level.INVALID: "red",
    Level.DENIED: "red",
    Level.UNKNOWN: "red",
    Level.WARNED: "yellow",
    Level.ADVICE: "yellow",
}
_OUTCOMES = ("allowed", "denied", "invalid", "unknown")
_INDENT = " " * 11


@dataclass
class Report:
    """What a run of the command has found."""

    results: list[Result] = field(default_factory=list)
    skipped: list[Document] = field(default_factory=list)
    """Documents of other kinds."""
    notes: list[str] = field(default_factory=list)


def show(report: Report, form: str) -> None:
    """Print the findings as text, json or yaml."""
    if not print_data(form, lambda: _data(report)):
        print_lines(lambda width: _text(report))


def _data(report: Report) -> dict[str, Any]:
    return {
        "results": [
            {
                **_place(result.document),
                "namespace": result.namespace,
                "name": result.name,
                "outcome": result.outcome,
                "findings": [_finding(finding) for finding in result.findings],
            }
            for result in report.results
        ],
        "skipped": [{**_place(document), "kind": document.kind} for document in report.skipped],
        "notes": report.notes,
    }


def _place(document: Document) -> dict[str, str]:
    return {"file": document.source, "document": document.number}


def _finding(finding: Finding) -> dict[str, str]:
    """Return what a finding has; what it has not is left out."""
    pairs = {name: str(value) for name, value in vars(finding).items()}
    return {name: value for name, value in pairs.items() if value}


def _text(report: Report) -> list[Text]:
    lines: list[Text] = []
    for result in report.results:
        what = f"{result.namespace}/{result.name or '(no name)'}: " if result.namespace else ""
        lines.append(Text(f"{result.document.place}: {what}{result.outcome}", style="bold"))
        for finding, following in zip_longest(result.findings, result.findings[1:]):
            # What is to do about several alike is said once, after the last of them.
            lines += _block(finding, with_remedy=not following or following.remedy != finding.remedy)
        lines.append(Text())
    for document in report.skipped:
        lines.append(Text(f"{document.place}: {document.kind or 'no kind'}, skipped"))
    lines += [Text(f"note: {text}") for text in report.notes]
    return [*lines, Text(_summary(report))]


def _block(finding: Finding, with_remedy: bool) -> list[Text]:
    level = (f"{finding.level.value:8}", _COLOURS.get(finding.level, ""))
    lines = [Text.assemble("  ", level, f" {finding.message}")]
    if finding.mode:
        rule = f", rule {finding.rule}" if finding.rule else ""
        lines.append(Text(f"{_INDENT}by policy {finding.policy} ({finding.mode}){rule}"))
    elif finding.source == "API server":
        lines.append(Text(f"{_INDENT}by the API server"))
    return [*lines, Text(f"{_INDENT}to do: {finding.remedy}")] if finding.remedy and with_remedy else lines


def _summary(report: Report) -> str:
    if not report.results:
        return "no NnunetTraining or NnunetComparison was found"
    counts = Counter(result.outcome for result in report.results)
    plural = "" if len(report.results) == 1 else "s"
    kinds = {result.document.kind for result in report.results}
    noun = {frozenset({COMPARISON}): "comparison", frozenset({KIND, COMPARISON}): "object"}.get(
        frozenset(kinds), "training"
    )
    said = ", ".join(f"{counts[outcome]} {outcome}" for outcome in _OUTCOMES if counts[outcome])
    return f"{len(report.results)} {noun}{plural}: {said}"
