"""Whether arms can be compared, as far as the specs of their trainings tell: before anything trains. Pure."""

from collections.abc import Iterator, Mapping

from nnunet_api.comparison.conditions import MAY_MIX, Difference, Known, differences, of_spec, unfounded
from nnunet_api.comparison.model import NnunetComparisonSpec
from nnunet_api.training import NnunetTrainingSpec

Specs = Mapping[str, NnunetTrainingSpec]
"""The specs of trainings that are known, by name."""
_SHOWN = 5


def named(spec: NnunetComparisonSpec) -> Iterator[tuple[str, str]]:
    """Yield arm and name of all trainings, the baseline's first."""
    for arm in spec.ordered_arms:
        yield from ((arm.name, name) for name in arm.trainings)


def stated_differences(spec: NnunetComparisonSpec, specs: Specs) -> list[Difference]:
    """Return why the arms can't be compared. What depends on all trainings is said once all are known."""
    stated = [Known(arm, name, of_spec(specs[name])) for arm, name in named(spec) if name in specs]
    found = differences(stated, spec.varies)
    repeated = [*_with_a_choice_to_make(spec, specs), *_seeds_that_repeat(spec, specs)]
    if len(stated) < len(spec.training_names):
        # The set of an arm's seeds is known once all of its trainings are there; all else stays as it is.
        return [*(one for one in found if one.path not in MAY_MIX), *repeated]
    found += repeated
    found += unfounded(stated, spec.varies, last=False)
    if any(one.test_set is None and len(one.folds) < 2 for one in specs.values()):
        matter = "without a test set the cross-validation is compared, and that takes at least two folds: give testSet"
        found.append(Difference("testSet", matter))
    return found


def _with_a_choice_to_make(spec: NnunetComparisonSpec, specs: Specs) -> Iterator[Difference]:
    """Yield the trainings of which it can't be told which of their scores would count, or what they will be of."""
    for arm, name in named(spec):
        if name in specs and specs[name].selection:
            matter = (
                f"training {name} of arm {arm} has it: what is scored would be chosen and postprocessed as its own "
                "cross-validation says, which is known at the end: leave selection out"
            )
            yield Difference("selection", matter)
        names = specs[name].configuration_names if name in specs else []
        if len(names) > 1:
            matter = (
                f"training {name} of arm {arm} has several ({', '.join(names)}), each with scores of its own: give it "
                "one"
            )
            yield Difference("configurations", matter)


def _seeds_that_repeat(spec: NnunetComparisonSpec, specs: Specs) -> Iterator[Difference]:
    """Yield the arms in which a seed is trained more than once: the same model again is no further replicate."""
    for arm in spec.ordered_arms:
        seeds = [
            one.trainer.seed + number
            for one in (specs[name] for name in arm.trainings if name in specs)
            for number in range(one.replicates)
            if one.trainer.seed is not None
        ]
        if twice := sorted({seed for seed in seeds if seeds.count(seed) > 1}):
            said = ", ".join(map(str, twice[:_SHOWN]))
            matter = f"arm {arm.name} trains seed {said} more than once, which is no further replicate: give others"
            yield Difference("trainer.seed", matter)
