"""What an operator with one training tells in its metrics."""

from collections.abc import Iterable, Mapping

from nnunet_operator.metrics import Row

TRAINING = ("clinic", "hippo")


class OneTraining:
    """All that an operator can know of one training that has failed, and of one exception."""

    def counts(self) -> Mapping[str, int]:
        return {"Failed": 1}

    def phases(self) -> Iterable[Row]:
        return [((*TRAINING, "Failed"), 1)]

    def failed(self) -> Iterable[Row]:
        return [((*TRAINING, "StorageFailed"), 1)]

    def figures(self, name: str) -> Iterable[Row]:
        return [(TRAINING, 1)]

    def excepted(self) -> Iterable[Row]:
        return [(TRAINING, 1)]

    def exceptions(self) -> Iterable[Row]:
        return [(("clinical", *TRAINING), 1)]

    def comparisons(self) -> Iterable[Row]:
        return [(("clinic", "shorter", "Completed"), 1)]

    def verdicts(self) -> Iterable[Row]:
        return [(("clinic", "shorter", "250-epochs", "Inferior"), -0.018)]

    def looks(self) -> Iterable[Row]:
        return [(("clinic", f"sha256-{'7' * 40}"), 21)]

    def most_looks(self) -> Iterable[Row]:
        return [(("clinical",), 20)]

    def interval_ends(self, upper: bool) -> Iterable[Row]:
        return [(("clinic", "shorter", "250-epochs"), -0.009 if upper else -0.027)]

    def arms(self) -> Iterable[Row]:
        return [(("clinic", "shorter", "250-epochs", TRAINING[1]), 2)]
