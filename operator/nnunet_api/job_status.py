"""What the status says of a Job that is needed and not done: enough to notice that it took its outcome with it."""

from typing import Annotated

from pydantic import Field

from nnunet_api.base import StatusModel
from nnunet_api.conditions import Time


class JobStatus(StatusModel):
    """A Job that the training needs and that is not done."""

    name: Annotated[str, Field(max_length=63)]
    """Name of the Job."""
    uid: str | None = None
    """UID of the Job that was seen last; absent where there is none."""
    stopping: bool | None = None
    """True once the operator stops it by itself: then it says nothing that it is gone."""
    lost: int = 0
    """Times that it, or the pod with the evidence, was gone before it was known how it ended, since the last
    suspension."""
    last_lost_time: Time | None = None
    """When that was noticed last."""
