"""How large trainings may be. One namespace must not be able to fill the operator's memory, which serves them all.

Neither a schema nor its rules can measure what they leave open (`planning.configurations`, affinity). An admission
policy can (the chart's `nnunet-sizes`), and what the operator reads without one it measures itself.
"""

import json
from typing import Any

MAX_SPEC = 65_536
"""Characters of a spec with its defaults, written out as JSON, that admission takes."""
MAX_METADATA = 131_072
"""Characters of labels, annotations, finalizers and owners; kubectl keeps the spec once more in an annotation."""
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
