"""What planning reports, for all tests that need such a report."""

from nnunet_api.contract import PlanFacts

PLAN_FACTS = PlanFacts(
    preprocessed_key="Dataset004_Hippocampus-0123456789abcdef",
    plans_name="nnUNetPlans",
    reused=False,
    dataset_hash="d" * 64,
    plans_hash="p" * 64,
    splits_hash="s" * 64,
    nnunet_version="2.8.1",
    torch_version="2.6.0",
)
