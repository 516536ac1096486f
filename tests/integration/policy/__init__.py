"""Admission as the chart installs it: what it says, whether the operator says the same, whether one gets around it."""
