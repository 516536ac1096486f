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

DIVERGING_LATE = '''
import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class LateDivergingTrainer(nnUNetTrainer):
    """Diverges in the very last step of its third epoch: all losses of that epoch's training are numbers."""

    def on_train_epoch_start(self):
        super().on_train_epoch_start()
        self.steps_done = 0

    def train_step(self, batch):
        losses = super().train_step(batch)
        self.steps_done += 1
        if self.current_epoch == 2 and self.steps_done == self.num_iterations_per_epoch:
            with torch.no_grad():
                for weights in self.network.parameters():
                    weights.fill_(float("nan"))
        return losses
'''

LAZY = '''
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class LazyTrainer(nnUNetTrainer):
    """Has an idea of its own of what an epoch is, which its source does not show."""

    def on_train_epoch_start(self):
        super().on_train_epoch_start()
        setattr(self, "num_iterations" + "_per_epoch", 1)
'''

HELD = '''
import os
import time

from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class HeldTrainer(nnUNetTrainer):
    """Stands still in the epoch that HELD_IN_EPOCH names (1 = first), until it is killed."""

    def train_step(self, batch):
        while self.current_epoch + 1 == int(os.environ.get("HELD_IN_EPOCH") or 0):
            time.sleep(0.02)
        return super().train_step(batch)
'''

REMEMBERING = '''
import os

import torch
from nnunetv2.training.nnUNetTrainer.nnUNetTrainer import nnUNetTrainer


class RememberingTrainer(nnUNetTrainer):
    """Saves the weights with which its first epoch begins."""

    def on_train_epoch_start(self):
        super().on_train_epoch_start()
        if self.current_epoch == 0:
            torch.save(self.network.state_dict(), os.environ["FIRST_WEIGHTS"])
'''
