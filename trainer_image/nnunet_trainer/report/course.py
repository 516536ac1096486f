"""When a run was trained, for how long and by which image, as the report says it."""

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from nnunet_api.contract import PROVENANCE_FILE
from nnunet_trainer.run.journal import Journal, read_journal

Row = tuple[str, str]


def course_of(folders: Mapping[str, Path], gpus: int, now: float) -> list[Row]:
    """Return the rows for the folders of the folds, by name; `now` is the Unix time at which the report is written."""
    journals = [read_journal(folder) for folder in folders.values()]
    return [*times(journals, gpus), ("report written", _time(now)), *images(folders)]


def times(journals: Sequence[Journal], gpus: int) -> list[Row]:
    """Return when the folds last made work durable and how long their attempts ran, as far as journals tell."""
    ends = [journal.saved for journal in journals if journal.saved is not None]
    held = sum(journal.held_seconds for journal in journals)
    lost = sum(journal.lost_seconds for journal in journals)
    rows: list[Row] = [("trained until", _time(max(ends)))] if ends else []
    if held:
        rows.append(("training time of all folds", _hours(held)))
        if gpus:
            rows.append(("GPU time of all folds", _hours(held * gpus)))
        if lost:
            rows.append(("of it lost to interruptions", _hours(lost * max(1, gpus))))
        rows.append(("attempts", str(sum(journal.attempts for journal in journals))))
    if compiled := [journal.facts.compile_seconds for journal in journals if journal.facts]:
        longest = max(seconds or 0 for seconds in compiled)
        rows += [("torch.compile in the last attempt, at most", _hours(longest))] if longest else []
    return rows


def images(folders: Mapping[str, Path]) -> list[Row]:
    """Return the images that trained the folds with their digests, each with its folds where there are several."""
    found: dict[tuple[str, str], list[str]] = {}
    for fold, folder in folders.items():
        try:
            content = json.loads((folder / PROVENANCE_FILE).read_text(encoding="utf-8"))
            pair = str(content.get("image") or ""), str(content.get("imageDigest") or "")
        except (OSError, ValueError, AttributeError):
            continue
        found.setdefault(pair, []).append(fold)
    rows: list[Row] = []
    for (image, digest), folds in found.items():
        of = f" of fold {', '.join(folds)}" if len(found) > 1 else ""
        pairs = (("image", image), ("imageDigest", digest))
        rows += [(f"{name}{of}", text) for name, text in pairs if text]
    return rows


def _hours(seconds: float) -> str:
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def _time(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M UTC")
