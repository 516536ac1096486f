"""Imported, besides `preloaded`, by the process that those workers are forked from that measure surfaces."""

from nnunet_trainer.process.preloaded import load

load(["monai.metrics"])
