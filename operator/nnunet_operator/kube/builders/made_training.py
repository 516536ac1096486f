"""A training that a comparison makes from its template: an ordinary one, named after comparison and arm."""

from nnunet_api.base import API_VERSION
from nnunet_api.labels import COMPARISON_LABEL, short_name
from nnunet_api.training import KIND, NnunetTrainingSpec
from nnunet_operator.core.comparison.model import Comparison
from nnunet_operator.kube.objects import Manifest


def made_training(comparison: Comparison, name: str, spec: NnunetTrainingSpec) -> Manifest:
    """Return the training.

    It has no owner, by which Kubernetes would delete it with the comparison: what took weeks of GPUs goes only when
    somebody deletes it.
    """
    template = comparison.spec.template
    labels = template.metadata.labels if template else {}
    return {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": name,
            "namespace": comparison.namespace,
            "labels": {**labels, COMPARISON_LABEL: short_name(comparison.name)},
            "annotations": dict(template.metadata.annotations) if template else {},
        },
        "spec": spec.to_json_dict(),
    }
