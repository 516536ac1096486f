"""Compressed NIfTI files that were cut short, as `dataset check` finds them, too."""

from nnunet_operator.api.dataset_truncation import cut_short as cut_short
