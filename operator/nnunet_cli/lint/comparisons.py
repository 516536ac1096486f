"""What is to be said of a comparison before it is applied: its schema, and each training that it would make. Pure."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

from nnunet_api.base import API_VERSION
from nnunet_api.bounds import MAX_SPEC, size_problem, written_size
from nnunet_api.comparison.model import KIND, NnunetComparisonSpec
from nnunet_api.comparison.power import expectation
from nnunet_api.comparison.stated import Specs, stated_differences
from nnunet_api.comparison.template import FaultyTemplate, made_specs, with_made_names
from nnunet_api.training import KIND as TRAINING
from nnunet_cli.lint.checks import Finding, Known, Level, Result, check
from nnunet_cli.lint.documents import Document
from nnunet_cli.lint.schema import Invalid, parse

REPLICATES = 3
"""Of each arm, below which a verdict is on models and not on methods."""


def check_comparison(document: Document, namespace: str, known: Known, now: datetime) -> Result:
    """Hold a comparison against the schema, its trainings against each other, and each against policies and advice."""
    metadata = document.body.get("metadata")
    metadata = metadata if isinstance(metadata, dict) else {}
    name = str(metadata.get("name") or metadata.get("generateName") or "")
    result = Result(document, namespace, name)
    try:
        given = parse(NnunetComparisonSpec, document.body, KIND if known.offline else "")
        spec = with_made_names(given, name)
        if problem := size_problem(written_size(given.to_json_dict()), MAX_SPEC):
            result.findings.append(_wrong(problem, "spec"))
            return result
        specs = made_specs(spec, name)
    except Invalid as invalid:
        result.findings += [_wrong(message, field) for field, message in invalid.problems]
        return result
    except FaultyTemplate as faulty:
        result.findings += [_wrong(str(fault), fault.path) for fault in faulty.faults]
        return result
    differing = [_wrong(f"the arms can't be compared: {one}", "spec.varies") for one in stated_differences(spec, specs)]
    result.findings += differing
    for arm in spec.arms:
        if arm.patch is not None:
            result.findings += _of_arm(
                arm.name, check(_training(document, arm.trainings[0], specs), namespace, known, now)
            )
    result.findings += _advice(spec, specs)
    return result


def _wrong(message: str, field: str) -> Finding:
    return Finding(Level.INVALID, message, field, remedy="correct the file", source="schema")


def _training(document: Document, name: str, specs: Specs) -> Document:
    """Return the training that an arm would have as if it stood in the file."""
    body = {"apiVersion": API_VERSION, "kind": TRAINING, "metadata": {"name": name}, "spec": specs[name].to_json_dict()}
    return replace(document, body=body)


def _of_arm(arm: str, found: Result) -> Iterator[Finding]:
    for finding in found.findings:
        if finding.level != Level.ADVICE:  # it asks for a comparison
            yield replace(finding, message=f"arm {arm}: {finding.message}")


def _advice(spec: NnunetComparisonSpec, specs: Specs) -> Iterator[Finding]:
    if few := sorted(name for name, one in specs.items() if one.replicates < REPLICATES):
        message = (
            f"{', '.join(few)} would have fewer than {REPLICATES} replicates: the verdict would be on these models, "
            "and seeds alone can make such a difference"
        )
        remedy = f"set spec.template.spec.replicates to {REPLICATES}, with trainer.seed"
        yield Finding(Level.ADVICE, message, "spec.template.spec.replicates", remedy=remedy, source="advice")
    if said := expectation(spec):
        yield Finding(Level.NOTE, said, "spec.maxDiceLoss", source="advice")
