"""How large trainings and comparisons may be. One namespace must not fill the operator's memory, which serves them all.

Neither a schema nor its rules can measure what they leave open (`planning.configurations`, affinity). An admission
policy can (the chart's `nnunet-sizes`), and what the operator reads without one it measures itself.
"""

import json
from typing import Any

MAX_SPEC = 65_536
"""Characters of a spec with its defaults, written out as JSON, that admission takes."""
MAX_METADATA = 131_072
"""Characters of labels, annotations, finalizers and owners; kubectl keeps the spec once more in an annotation."""
MAX_CONFIGURATIONS = 65_536
"""Bytes of planning.configurations in the run contract: the one open part of what pods are told by a variable, of which
Linux takes less than 128 KiB (MAX_ARG_STRLEN). As much is left for what the policies came to."""
MAX_READ = 4 * MAX_SPEC
"""Characters of a spec that the operator reads. More than is admitted: the two write numbers and text differently."""


def written_size(part: Any) -> int:
    """Return the size of a part of an object in characters, as admission measures it but for the form of numbers."""
    return len(json.dumps(part, ensure_ascii=False, separators=(", ", ":")))


def size_problem(size: int, most: int) -> str:
    """Return what is wrong with a spec of this size, with the remedy; empty where nothing is."""
    if size <= most:
        return ""
    return (
        f"the spec has {size} characters, may have at most {most}: shorten planning.configurations, trainer.env or "
        "podTemplate"
    )


def configurations_problem(configurations: Any) -> str:
    """Return what is wrong with the size of planning.configurations, with the remedy; empty where nothing is."""
    size = len(json.dumps(configurations))  # in ASCII, as the contract is: a character outside takes up to 12 bytes
    if size <= MAX_CONFIGURATIONS:
        return ""
    return (
        f"spec.planning.configurations has {size} bytes in ASCII, may have at most {MAX_CONFIGURATIONS}: shorten it, "
        "or else no pod could be told of it"
    )
