"""Creates the trainings of a comparison's template, suspends and resumes them. The operator does so by its own rights.

Admission judges each as it would judge a person's: policies, sizes, what it reads. What it refuses is told, not raised.
"""

import logging
from collections.abc import Awaitable, Mapping

from nnunet_api.comparison.template import changed_fields
from nnunet_api.labels import COMPARISON_LABEL
from nnunet_api.training import NnunetTrainingSpec
from nnunet_operator.core.comparison.model import Comparison, SetSuspend
from nnunet_operator.kube.builders.made_training import made_training
from nnunet_operator.kube.objects import Manifest
from nnunet_operator.runtime.client.resources import COMPARISONS, TRAININGS
from nnunet_operator.runtime.controllers.parts import Parts
from nnunet_operator.runtime.controllers.stored import Stored
from nnunet_operator.runtime.errors import ApiError, Conflict, Unreachable
from nnunet_operator.runtime.keys import Key
from nnunet_operator.runtime.training import InvalidSpecError, parse_spec

log = logging.getLogger(__name__)

_SHOWN = 5
"""Fields that are named."""


class MadeTrainings:
    """The trainings that comparisons make."""

    def __init__(self, parts: Parts) -> None:
        self._client = parts.client
        self._feed = parts.feed
        self._stored = Stored(parts, COMPARISONS)

    async def make(
        self, comparison: Comparison, specs: Mapping[str, NnunetTrainingSpec], refused: dict[str, str]
    ) -> None:
        """Create trainings: all of them, or none where the API server would refuse one. Note what it refuses.

        One arm alone would train for nothing. A quota may still take some and refuse the rest.
        """
        for name, spec in specs.items():
            if words := await self._refusal(comparison, name, self._try(comparison, name, spec)):
                refused[name] = words
        if refused:
            return
        for name, spec in specs.items():
            if words := await self._refusal(comparison, name, self._create(made_training(comparison, name, spec))):
                refused[name] = words

    async def _try(self, comparison: Comparison, name: str, spec: NnunetTrainingSpec) -> str:
        """Return why a training is not to be created, which the API server would take: it would be another one."""
        manifest = made_training(comparison, name, spec)
        words = _changed(await self._client.try_create(TRAININGS, comparison.namespace, manifest), manifest, spec)
        if words:
            log.warning("training %s is not created: %s", name, words)
        return words

    async def _create(self, manifest: Manifest) -> str:
        stored = await self._client.create(TRAININGS, manifest["metadata"]["namespace"], manifest)
        log.info("created training %s", manifest["metadata"]["name"])
        self._feed.seen(TRAININGS, stored, by=COMPARISONS)
        return ""

    async def _refusal(self, comparison: Comparison, name: str, doing: Awaitable[str]) -> str:
        """Do something for a training that is not there yet; return what it, or an API server that refuses, says."""
        try:
            return await doing
        except Unreachable as error:
            if not error.refused:
                raise
            return error.said or str(error)
        except ApiError as error:
            if error.status == 409:
                # Unseen so far: whether it is one of ours is decided anew.
                await self._stored.reread(TRAININGS, Key(comparison.namespace, name))
                return ""
            if not error.refused:
                raise
            log.warning("training %s was refused: %s", name, error.message)
            return error.message

    async def set_suspend(self, comparison: Comparison, wanted: SetSuspend, refused: dict[str, str]) -> None:
        """Suspend or resume a training, or note why the API server refuses it. Raises Conflict where it is another."""
        key = Key(comparison.namespace, wanted.training)
        try:
            stored = await self._client.merge(TRAININGS, key, wanted.uid, {"suspend": wanted.suspend})
        except Unreachable as error:
            if not error.refused:
                raise
            refused[key.name] = error.said or str(error)
        except ApiError as error:
            if error.status in (404, 409):
                await self._stored.reread(TRAININGS, key)
                raise Conflict(str(error)) from None
            if not error.refused:
                raise
            log.warning("training %s can't be %s: %s", key.name, "suspended" if wanted.suspend else "resumed", error)
            refused[key.name] = error.message
        else:
            log.info("set spec.suspend of training %s to %s", key.name, wanted.suspend)
            self._feed.seen(TRAININGS, stored, by=COMPARISONS)


def _changed(answer: Manifest, manifest: Manifest, wanted: NnunetTrainingSpec) -> str:
    """Return what the cluster would change of a training by which it would be none of the template; "" for nothing.

    A training that computes something else, or has not our label, would be taken for another's, and train on.
    """
    label = ((answer.get("metadata") or {}).get("labels") or {}).get(COMPARISON_LABEL)
    try:
        found = changed_fields(parse_spec(NnunetTrainingSpec, answer), wanted)
    except InvalidSpecError as problem:
        found = [str(problem)]
    if label != (ours := manifest["metadata"]["labels"][COMPARISON_LABEL]):
        found.append(f"label {COMPARISON_LABEL} is {label or 'none'} in place of {ours}")
    if not found:
        return ""
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return (
        f"the cluster (a mutating webhook or policy) changes it at its creation: {'; '.join(found[:_SHOWN])}{more}. "
        "Have what changes it leave out trainings with the label "
        f"{COMPARISON_LABEL}, or create a comparison whose template says what it would set"
    )
