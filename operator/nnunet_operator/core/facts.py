"""Provenance and results: what the trainers' reports state, kept when their pods are gone."""

import statistics
from collections.abc import Iterable, Sequence
from typing import Any

from nnunet_api.contract import EVIDENCE_FILE, REPORT_FILE, RESULTS_PATH
from nnunet_api.evaluation_facts import EvaluationFacts, SelectionFacts
from nnunet_api.facts import FoldProvenance
from nnunet_api.folders import inside, run_folder
from nnunet_api.results import (
    ConfigurationResult,
    ReplicateResult,
    Results,
    SelectionResult,
    Spread,
    TestDice,
    TestSurface,
)
from nnunet_api.status import Provenance
from nnunet_api.training import NnunetTrainingSpec
from nnunet_operator.core import slipped_in, verifier
from nnunet_operator.core.initial_weights import weights_facts
from nnunet_operator.core.observation import Observation
from nnunet_operator.core.rounding import count, dice, harmless, number, text
from nnunet_operator.core.stages import Stages
from nnunet_operator.core.training import Options, Training, image_of, models_of


def run_path(training: Training) -> str:
    """Return the folder of the run, from the root of the results claim."""
    folder = run_folder(training.namespace, training.name, training.uid)
    return inside(training.spec.storage.results.sub_path, folder)


def provenance(training: Training, found: Stages, options: Options) -> Provenance:
    """Return what the run is made from, as far as it is known."""
    before = training.status.provenance or Provenance()
    # Of planning alone, and with its Job, which says where it worked: the other stages' images may report anything.
    plan = found.plan.report.plan if found.plan.exists and found.plan.report else None
    trainers = (found.plan, *found.folds, found.evaluate)  # the verification has an image of its own
    asked = [o for o in trainers if o.image]
    pulled = next((o for o in asked if o.image_digest), None)  # image and digest belong together
    stated: dict[str, Any] = {
        "image": pulled.image if pulled else next((o.image for o in asked), image_of(training, options)),
        "image_digest": text(pulled.image_digest) if pulled else None,
    }
    if before.pinned_image:
        stated |= {"image": before.image, "image_digest": before.image_digest}
    stated["other_image_digests"] = _other_digests(before, asked, stated["image"], stated["image_digest"]) or None
    if plan:
        # The Job says where it worked: on the whole claim, where an older operator made it.
        folder = f"{training.namespace}/{found.plan.maker}" if found.plan.maker else ""
        stated |= {
            "dataset_hash": text(plan.dataset_hash),
            "plans_name": plan.plans_name,
            "plans_hash": text(plan.plans_hash),
            "splits_hash": text(plan.splits_hash),
            "dataset_notes": text(plan.notes),
            "initial_weights": weights_facts(training, found.plan, plan.initial_weights),
            "preprocessed_path": text(
                inside(training.spec.storage.preprocessed.sub_path, f"{folder}/{plan.preprocessed_key}"),
            ),
            "preprocessing_reused": plan.reused,
            "nnunet_version": text(plan.nnunet_version),
            "torch_version": text(plan.torch_version),
        }
    stated["slipped_in"] = slipped_in.record(before, trainers) or None
    stated |= verifier.stated(before, found.plan, found.verify, found.verified)
    if training.spec.trainer.seed is not None:
        stated["seed"] = training.spec.trainer.seed
    if found.verified:
        stated["evidence_path"] = f"{run_path(training)}/{EVIDENCE_FILE}"
        stated["evidence_hash"] = text(found.evidence.evidence_hash) if found.evidence else None
    if fold := next((told for o in found.folds if (told := _stated_by(o))), None):
        stated |= {
            "device": text(fold.device),
            "cuda_version": text(fold.cuda_version),
            "torch_compile": text(fold.torch_compile),
            "data_read_from": text(fold.data_read_from),
            "configuration_hash": text(fold.configuration_hash),
        }
    return before.model_copy(update={key: value for key, value in stated.items() if value is not None})


def _other_digests(
    before: Provenance, asked: Sequence[Observation], image: str | None, digest: str | None
) -> list[str]:
    """Return what else nodes have pulled for this image: the content may not be the same."""
    found = list(before.other_image_digests or ())
    known = {content_of(one) for one in (digest or "", *found)}
    for one in asked:
        if one.image == image and one.image_digest and content_of(one.image_digest) not in known and len(found) < 8:
            found.append(text(one.image_digest) or "")
            known.add(content_of(one.image_digest))
    return found


def content_of(digest: str) -> str:
    """Return the digest alone: the same image may come from several registries."""
    return digest.rpartition("@")[2]


def results(training: Training, found: Stages, made_from: Provenance | None) -> Results | None:
    """Return the outcome, or None before the evaluation has ended."""
    before = training.status.results
    if not found.evaluated or found.evaluation is None:
        return before
    stated = _with_model_paths(_results(found.evaluation, training.spec), training, found.evaluation, made_from)
    return stated.model_copy(update={"report_path": f"{run_path(training)}/{REPORT_FILE}"})


def _results(facts: EvaluationFacts, spec: NnunetTrainingSpec) -> Results:
    cross_validation = dice(facts.mean_validation_dice)
    test_mean = dice(facts.test_mean)
    per_class = {
        harmless(name[:128]): value for name, raw in facts.test_per_class.items() if (value := dice(raw)) is not None
    }
    replicates = [
        ReplicateResult(
            replicate=one.replicate,
            seed=one.seed,
            mean_validation_dice=dice(one.mean_validation_dice),
            test_dice=dice(one.test_mean),
        )
        for one in facts.replicates
    ]
    configurations = [
        ConfigurationResult(
            configuration=harmless(one.configuration),
            mean_validation_dice=dice(one.mean_validation_dice),
            spread=number(one.spread),
        )
        for one in facts.configurations
    ]
    test = TestDice(mean=test_mean, cases=count(facts.test_cases), per_class=per_class)
    selection = _selection(facts.selection, spec)
    shown = test_mean if test_mean is not None else cross_validation
    return Results(
        mean_validation_dice=cross_validation,
        test_dice=test if test_mean is not None else None,
        test_surface=_surface(facts),
        best_checkpoint_test_dice=dice(facts.best_checkpoint_test_mean),
        replicates=replicates,
        spread=_spread(replicates),
        configurations=configurations or None,
        selection=selection,
        summary_hash=text(facts.summary_hash),
        test_set_hash=text(facts.test_set_hash),
        summary=f"{shown:.3f}" if shown is not None else _of_chosen(selection) or _side_by_side(configurations),
    )


def _selection(facts: SelectionFacts | None, spec: NnunetTrainingSpec) -> SelectionResult | None:
    """Return what was chosen; None where the spec can't have come to that, whatever the trainer's image reports."""
    asked = spec.selection
    if facts is None or asked is None or not set(facts.chosen) <= set(spec.configuration_names):
        return None
    if len(facts.chosen) > 1 and (not asked.ensembles or len(set(facts.chosen)) == 1):
        return None
    return SelectionResult(
        chosen=facts.chosen,
        mean_validation_dice=dice(facts.mean_validation_dice),
        postprocessed_validation_dice=dice(facts.postprocessed_validation_dice),
        postprocessing=[harmless(name) for name in facts.postprocessing],
        candidates=count(facts.candidates),
        summary=" + ".join(facts.chosen),
    )


def _of_chosen(selection: SelectionResult | None) -> str | None:
    value = selection.mean_validation_dice if selection else None
    return f"{selection.summary} {value:.3f}" if selection and value is not None else None


def _with_model_paths(
    stated: Results, training: Training, facts: EvaluationFacts, made_from: Provenance | None
) -> Results:
    """Return the results with the folders of the models, which the spec gives: of a pod's word only the plans' name.

    So nobody who reads the status is led elsewhere, and a report without room for paths is missing nothing.
    """
    models = models_of(training, run_path(training))
    sub_path = training.spec.storage.results.sub_path
    told = [facts.model_path, *(one.model_path for one in facts.configurations)]
    seen = [inside(sub_path, path.removeprefix(RESULTS_PATH)) for path in told if path]
    plans = models.plans_name(made_from.plans_name if made_from else None, seen)

    def path(configuration: str) -> str | None:
        return models.path(configuration, plans) if plans and configuration in models.configurations else None

    each = [one.model_copy(update={"model_path": path(one.configuration)}) for one in stated.configurations or []]
    names = stated.selection.chosen if stated.selection else list(models.configurations)
    return stated.model_copy(
        update={"configurations": each or None, "model_path": path(names[0]) if len(names) == 1 else None}
    )


def _side_by_side(configurations: Sequence[ConfigurationResult]) -> str | None:
    known = [(one.configuration, one.mean_validation_dice) for one in configurations]
    return ", ".join(f"{name} {value:.3f}" for name, value in known if value is not None) or None


def _surface(facts: EvaluationFacts) -> TestSurface | None:
    nsd, hd95 = dice(facts.test_nsd), number(facts.test_hd95_mm)
    return TestSurface(nsd=nsd, hd95_mm=hd95) if nsd is not None or hd95 is not None else None


def _spread(replicates: Sequence[ReplicateResult]) -> Spread | None:
    if len(replicates) < 2:
        return None
    return Spread(
        validation_dice=number(deviation(one.mean_validation_dice for one in replicates)),
        test_dice=number(deviation(one.test_dice for one in replicates)),
    )


def deviation(values: Iterable[float | None]) -> float | None:
    """Return the sample standard deviation (divided by n - 1, Bessel's correction); None below two values.

    With few replicates it is itself a rough estimate: with three, half or twice as much is nothing unusual.
    """
    known = [value for value in values if value is not None]
    return statistics.stdev(known) if len(known) > 1 else None


def _stated_by(fold: Observation) -> FoldProvenance | None:
    return fold.report.fold.provenance if fold.report and fold.report.fold else None
