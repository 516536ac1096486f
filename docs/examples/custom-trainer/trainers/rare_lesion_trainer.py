"""A trainer class of one's own: for lesions that are small and rare."""

import os

import torch
from nnunetv2.training.nnUNetTrainer.variants.loss.nnUNetTrainerTopkLoss import nnUNetTrainerDiceTopK10Loss


class RareLesionTrainer(nnUNetTrainerDiceTopK10Loss):
    """Draws more patches with foreground than nnU-Net's third; the loss looks at the hardest tenth of the voxels."""

    def __init__(self, plans: dict, configuration: str, fold: int, dataset_json: dict, device: torch.device):
        super().__init__(plans, configuration, fold, dataset_json, device)
        # The arguments are fixed by nnU-Net: whatever else the class needs comes from trainer.env.
        self.oversample_foreground_percent = float(os.environ.get("RARE_LESION_FOREGROUND", "0.66"))

    def on_epoch_end(self) -> None:
        """Say what nnU-Net does not: the class that is worst. super() counts and saves the epoch."""
        per_class = self.logger.get_value("dice_per_class_or_region", step=-1)
        self.print_to_log_file("lowest pseudo-Dice of a class:", min(per_class))
        super().on_epoch_end()
