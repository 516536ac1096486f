"""All kinds. Whatever goes through them one by one goes through these: handlers, full lists, cache, queue, metrics."""

from collections.abc import Callable

from nnunet_operator.runtime.controllers import comparisons, policies, test_sets, trainings
from nnunet_operator.runtime.controllers.parts import Parts
from nnunet_operator.runtime.informers.controller import Controller
from nnunet_operator.runtime.informers.informer import Informer
from nnunet_operator.runtime.informers.kinds import KINDS

INFORMERS: tuple[Informer, ...] = KINDS
"""Which objects are listed, watched and kept."""

CONTROLLERS: tuple[Callable[[Parts], Controller], ...] = (
    trainings.controller,
    policies.controller,
    comparisons.controller,
    test_sets.controller,
)
"""What is reconciled."""
