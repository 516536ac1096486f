"""What to do about what stands in the way of a comparison's Job: in the comparison's words, not in a training's."""

import re

import pytest

from nnunet_api.comparison.advice import RETRY, advice
from nnunet_api.comparison.model import NnunetComparisonSpec
from nnunet_api.labels import TRAINING_LABEL
from nnunet_api.reasons import Reason
from nnunet_api.remedies.remedy import Case, Group
from nnunet_api.remedies.table import REMEDIES

OF_TRAININGS = {Reason.WAITING_FOR_GPU, Reason.WAITING_FOR_WEIGHTS}
"""What no Job of a comparison waits for."""
CASES_OF_TRAININGS = {(Reason.CLAIM_NOT_BOUND, Case.CLAIM_REFUSED), (Reason.IMAGE_UNAVAILABLE, Case.FOLDERS)}
"""The same: its pod has no claim of its own, and nothing that makes folders."""
ALL = [
    (reason, case)
    for reason, row in REMEDIES.items()
    if row.group is Group.WAITS and reason not in OF_TRAININGS
    for case in ("", *row.cases)
    if (reason, case) not in CASES_OF_TRAININGS
]
THEIRS = "of the baseline's first training"


@pytest.mark.parametrize(("reason", "case"), ALL)
def test_it_names_no_field_that_a_comparison_lacks(reason: str, case: str) -> None:
    todo = advice(reason, case, "shorter", "clinic")
    fields = {field.alias or name for name, field in NnunetComparisonSpec.model_fields.items()}
    own = NnunetComparisonSpec.model_fields["resources"].annotation
    assert own is not None
    resources = {field.alias or name for name, field in own.model_fields.items()}
    for found in re.finditer(r"(?<!template\.)spec\.([A-Za-z]+)(?:\.([A-Za-z]+))?", todo):
        if found[1] == "template" or todo[found.end() :].startswith(f" {THEIRS}"):
            continue
        assert found[1] in fields, f"{found[0]}: {todo}"
        assert found[1] != "resources" or not found[2] or found[2] in resources, f"{found[0]}: {todo}"
    assert TRAINING_LABEL not in todo and not re.search("[Tt]h(e|is) training", todo) and "{" not in todo, todo
    assert not re.search(r"\bfolds?\b|taken up at once|suspend and resume", todo), todo


def test_nodes_that_take_no_pods_are_no_matter_of_tolerations_alone() -> None:
    todo = advice(Reason.WAITING_FOR_RESOURCES, Case.NODE_TAINTS, "shorter", "clinic")
    assert "kubectl uncordon NODE: it goes on by itself" in todo and f"tolerations in spec.podTemplate {THEIRS}" in todo


@pytest.mark.parametrize("case", [Case.POD_SECURITY, Case.ABSENT, Case.INVALID])
def test_a_template_that_is_changed_needs_a_new_job(case: Case) -> None:
    """The Job was made of the template that there was: no change of it is taken up."""
    todo = advice(Reason.POD_REJECTED, case, "shorter", "clinic")
    assert f"spec.podTemplate {THEIRS}" in todo and todo.endswith(RETRY)
