"""Cascades: which configuration of a training learns from the predictions of which other one. Pure.

A configuration with a previous stage gets that one's segmentations as further channels, of training and of validation
cases. So none of its folds can begin before all folds of the previous stage are trained and have predicted the cases
that they were not trained on.
"""

from collections.abc import Mapping, Sequence
from typing import Any

CASCADE = "3d_cascade_fullres"
"""nnU-Net's own cascade."""
LOWRES = "3d_lowres"
"""Its previous stage, as nnU-Net's planners plan it."""
_PREVIOUS = "previous_stage"


def previous_stage(configuration: str, own: Mapping[str, Mapping[str, Any]]) -> str | None:
    """Return the configuration from whose predictions this one learns, or None.

    `own` are the configurations that the training brings (spec.planning.configurations). As in nnU-Net's plans, what
    one does not say itself it has from the one that it inherits from. Planning sees that the plans say the same.
    """
    seen: set[str] = set()
    name: Any = configuration
    while isinstance(name, str) and name not in seen:
        seen.add(name)
        settings = own.get(name, {})
        if _PREVIOUS in settings:
            stage = settings[_PREVIOUS]
            return stage if isinstance(stage, str) else None
        if name == CASCADE:
            return LOWRES
        name = settings.get("inherits_from")
    return None


def next_stages(configuration: str, trained: Sequence[str], own: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return those of the `trained` configurations that learn from the predictions of this one."""
    return [one for one in trained if previous_stage(one, own) == configuration]


CONFIGURATION_RULE = f"self != '{CASCADE}'"
CONFIGURATIONS_RULE = f"!('{CASCADE}' in self) || '{LOWRES}' in self"
"""CEL rules on both forms of the field. On the spec as a whole each would cost the API server more, at every write:
cascades of one's own and trainOnAllCases are left to planning, which looks at folds and inheritance anyway."""
CASCADE_MESSAGE = f"{CASCADE} learns from the predictions of {LOWRES}: give configurations: [{LOWRES}, {CASCADE}]"
