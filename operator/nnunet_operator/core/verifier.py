"""By which image a training was verified: the operator's own, which may be a tag that somebody moves to another one.

The first that runs for a training in this image makes its folders, before anything is trained. What a node resolved it
to then is what the verification has to run as well, where an enforced policy lets images count by their digest alone.
"""

from typing import Any

from nnunet_api.policy.model import Outcome, PolicyMode
from nnunet_api.status import Provenance
from nnunet_operator.core.observation import Observation
from nnunet_operator.core.rounding import text
from nnunet_operator.core.training import Training


def stated(before: Provenance, plan: Observation, verify: Observation, verified: bool) -> dict[str, Any]:
    """Return what the provenance says of the verifying image: what has proven the epochs, or what made the folders."""
    if verified and verify.image_digest:
        return {"verifier_image": verify.image, "verifier_image_digest": text(verify.image_digest)}
    if not verified and plan.own_digest and before.verifier_image != plan.own_image:
        return {"verifier_image": plan.own_image, "verifier_image_digest": text(plan.own_digest)}
    return {}


def doubt_of(training: Training, verify: Observation) -> str:
    """Return why the report of a verification is not believed although its pod is the operator's, or ""."""
    known = training.status.provenance
    # By digest the node has to run what was asked for. Of another image, after an upgrade, nothing is known.
    if known is None or "@" in verify.image or known.verifier_image != verify.image or not known.verifier_image_digest:
        return ""
    if not _by_digest_alone(training) or _digest(verify.image_digest) == _digest(known.verifier_image_digest):
        return ""
    return (
        f"its image {verify.image} is {verify.image_digest or 'unknown'} by now, and was {known.verifier_image_digest} "
        "when the training was planned, so its tag was moved. Give the operator's trainer image by digest (the chart's "
        "trainer.image.digest), then suspend and resume the training"
    )


def _digest(image: str) -> str:
    """Return the digest alone: the same image may come from a mirror, under another name."""
    return image.rpartition("@")[2]


def _by_digest_alone(training: Training) -> bool:
    """Say whether an enforced policy is for the training, and its own image is given by digest, as these ask."""
    policy = training.status.policy
    enforced = policy is not None and any(
        one.mode == PolicyMode.ENFORCE and one.outcome in (Outcome.ALLOWED, Outcome.EXCEPTED, Outcome.COMPARED)
        for one in policy.decisions
    )
    return enforced and "@sha256:" in training.spec.trainer.image
