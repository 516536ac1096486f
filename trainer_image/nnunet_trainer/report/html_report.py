"""report.html in the run folder: the evaluation for people, in one file that needs no network."""

import logging
import time
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from nnunet_api.contract import PROVENANCE_FILE, REPORT_FILE, FoldEvidence, PlanFacts, RunContract
from nnunet_api.facts import FoldProvenance
from nnunet_trainer.process.files import read_text
from nnunet_trainer.report.cases import CasePictures, pictures_of_cases
from nnunet_trainer.report.charts import curves
from nnunet_trainer.report.choice import selection_rows
from nnunet_trainer.report.course import course_of
from nnunet_trainer.report.rows import (
    case_pictures,
    class_rows,
    exception_rows,
    fixed,
    fold_rows,
    grouped,
    headline,
    lowest_cases,
    plan_rows,
    policy_rows,
    replicate_summary,
    schedule_warning,
    settings,
)
from nnunet_trainer.run.paths import FINAL, RunPaths
from nnunet_trainer.scoring import results
from nnunet_trainer.scoring.ensemble import HeldOut
from nnunet_trainer.scoring.several import facts_of_several, notes_on_several
from nnunet_trainer.selection.selected import Selected, selection_notes
from nnunet_trainer.training.history import read_history

log = logging.getLogger(__name__)

_TEMPLATE = Path(__file__).with_name("report_template.html")
CHOSEN = ""
"""In the place of a configuration: what was chosen among several."""


def write_report(
    contract: RunContract,
    paths: RunPaths,
    plan: PlanFacts,
    found: Mapping[str, results.Results],
    evidence: Mapping[str, FoldEvidence],
    folders: Mapping[str, Path],
    test_set: HeldOut | None = None,
    selected: Selected | None = None,
) -> None:
    """Write the report on the results of each configuration; `folders` has the folder of each fold by its run's name.

    A report that can't be drawn costs nothing but itself: the scores are in summary.json.
    """
    path = paths.run / REPORT_FILE
    try:
        # One of an earlier attempt may show other scores.
        path.unlink(missing_ok=True)
        pictures = {
            fold: curves(read_history(folder / FINAL), evidence[fold].early_stopping, contract.schedule.epochs)
            for fold, folder in folders.items()
        }
        provenance = {fold: _provenance(folder / PROVENANCE_FILE) for fold, folder in folders.items()}
        course = course_of(folders, contract.gpus, time.time())
        shown = dict(found)
        if selected and selected.results and contract.has_several:
            shown[CHOSEN] = selected.results
        of_cases = {name: case_pictures(one) for name, one in shown.items()}
        overlays = pictures_of_cases(contract, paths, plan, shown, folders, test_set)
        page = render(contract, plan, found, evidence, provenance, pictures, of_cases, course, overlays, selected)
        paths.write(path, page)
    except Exception:
        log.exception("%s could not be drawn; the scores are in summary.json", REPORT_FILE)


def _provenance(path: Path) -> FoldProvenance | None:
    try:
        return FoldProvenance.model_validate_json(read_text(path))
    except (FileNotFoundError, ValueError):
        return None


_JOINERS = "\u200c\u200d"
"""Names in Persian and in languages of India have them; they turn nothing."""


def _in_one_direction(value: Any) -> Any:
    """Return what stands in the page, without what turns the direction of writing: names come from others."""
    if hasattr(value, "__html__"):  # of a macro, made of what has been here
        return value
    text = str(value)
    return text if text.isprintable() else "".join(c if _stands_still(c) else "�" for c in text)


def _stands_still(character: str) -> bool:
    return character.isprintable() or character.isspace() or character in _JOINERS


def render(
    contract: RunContract,
    plan: PlanFacts,
    found: Mapping[str, results.Results],
    evidence: Mapping[str, FoldEvidence],
    provenance: Mapping[str, FoldProvenance | None],
    fold_pictures: Mapping[str, str],
    case_pictures: Mapping[str, Mapping[str, str]],
    course: Sequence[tuple[str, str]] = (),
    overlays: Mapping[str, CasePictures] = {},
    selected: Selected | None = None,
) -> str:
    """Return the page. Pictures are data URIs, those of the cases' scores by configuration and caption.

    `overlays` has by configuration what shows the cases themselves.
    """
    from jinja2 import Environment, StrictUndefined

    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True, finalize=_in_one_direction
    )
    environment.filters["fixed"] = fixed
    template = environment.from_string(_TEMPLATE.read_text(encoding="utf-8"))
    several = contract.has_several
    told = notes_on_several(contract, found) if several else results.notes(found[contract.configuration])
    return template.render(
        contract=contract,
        version=version("nnunet-operator"),
        notes=[*told, *(selection_notes(contract, selected) if selected else [])],
        selection=selection_rows(selected) if selected else None,
        chosen=chosen_part(contract, selected, case_pictures, overlays) if several else None,
        configurations=facts_of_several(found).configurations if several else [],
        schedule_warning=schedule_warning(contract, evidence),
        exceptions=[exception_rows(granted) for granted in contract.policy.exceptions] if contract.policy else [],
        parts=[
            part(
                one,
                found[one.configuration],
                evidence,
                case_pictures.get(one.configuration, {}),
                overlays.get(one.configuration),
            )
            for one in contract.by_configuration
        ],
        fold_pictures=fold_pictures,
        course=course,
        settings=settings(contract),
        policies=policy_rows(contract.policy) if contract.policy else [],
        plan=plan_rows(plan),
        provenance=grouped(provenance),
    )


def part(
    contract: RunContract,
    found: results.Results,
    evidence: Mapping[str, FoldEvidence],
    case_pictures: Mapping[str, str],
    overlays: CasePictures | None = None,
) -> dict[str, Any]:
    """Return what the page shows of the results of one configuration."""
    return {
        "contract": contract,
        "title": contract.configuration if contract.has_several else "",
        "headline": headline(contract, found),
        "classes": class_rows(found),
        "unit": found.unit,
        "tested": any(run.test for run in found.replicates),
        "replicates": found.replicates,
        "subgroups": found.subgroups,
        "replicate_summary": replicate_summary(found),
        "best_checkpoint": found.best_test_dice,
        "folds": fold_rows(contract, found, evidence) if evidence else [],
        "lowest": lowest_cases(found),
        "case_pictures": case_pictures,
        "overlays": overlays,
    }


def chosen_part(
    contract: RunContract,
    selected: Selected | None,
    case_pictures: Mapping[str, Mapping[str, str]],
    overlays: Mapping[str, CasePictures],
) -> dict[str, Any] | None:
    """Return what the page shows of the test scores of what was chosen among several configurations."""
    if selected is None or selected.results is None:
        return None
    of_cases, shown = case_pictures.get(CHOSEN, {}), overlays.get(CHOSEN)
    return part(contract, selected.results, {}, of_cases, shown) | {"title": selected.name}
