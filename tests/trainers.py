"""Trainer classes that go wrong, as the source of a file for nnU-Net's folder of further trainers."""

DIVERGING = '''
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class DivergingTrainer(nnUNetTrainer):
    """From its third epoch on, each step leaves weights that are no numbers."""

    def train_step(self, batch):
        losses = super().train_step(batch)
        if self.current_epoch >= 2:
            with torch.no_grad():
                for weights in self.network.parameters():
                    weights.fill_(float("nan"))
        return losses
'''
