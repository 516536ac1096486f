"""Configurations that a training brings, merged into nnU-Net's plans."""

from nnunet_trainer.dataset.configurations import with_configurations

PLANS = {"plans_name": "nnUNetPlans", "configurations": {"3d_fullres": {"batch_size": 2}}}


def test_nulls_that_kubectl_apply_dropped_come_back() -> None:
    """nnU-Net looks up what _kw_requires_import names; kubectl apply never sends `dropout_op: null`."""
    sent = {
        "inherits_from": "3d_fullres",
        "architecture": {
            "arch_kwargs": {"conv_op": "torch.nn.Conv3d"},
            "_kw_requires_import": ["conv_op", "dropout_op"],
        },
    }
    merged = with_configurations(PLANS, {"tiny": sent})["configurations"]["tiny"]
    assert merged["architecture"]["arch_kwargs"] == {"conv_op": "torch.nn.Conv3d", "dropout_op": None}
    assert merged["architecture"]["_kw_requires_import"] == ["conv_op", "dropout_op"]
