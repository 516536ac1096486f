"""What the demo trains: `make demo` the short story, `make demo-recipe` the long one."""

from dataclasses import dataclass
from pathlib import Path

import yaml

SAMPLES = Path(__file__).parents[2] / "manifests" / "samples" / "demo"


@dataclass(frozen=True)
class Story:
    """One training, from its document to what there is to say of its scores."""

    file: str
    """Of the training, among the demo's samples."""
    moral: str
    """What the numbers mean."""

    @property
    def path(self) -> Path:
        """Where the document is."""
        return SAMPLES / self.file

    @property
    def training(self) -> str:
        """Name of the training."""
        return str(yaml.safe_load(self.path.read_text(encoding="utf-8"))["metadata"]["name"])


STORIES = {
    "training": Story(
        "training.yaml",
        "One averaged head and a tiny network: these numbers show that the machinery works, and nothing about "
        "accuracy.\nnnU-Net's standard is 1000 epochs of 250 iterations on 5 folds.",
    ),
    "recipe": Story(
        "recipe.yaml",
        "nnU-Net's whole recipe: four configurations, the best one or pair of them by cross-validation, and then one "
        "look at the test set.\nOne averaged head and tiny networks that were hardly trained: which one was chosen "
        "says nothing about accuracy.",
    ),
}
"""By the demo's argument."""
