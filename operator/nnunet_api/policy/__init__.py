"""The decision whether a training may run: (training, labels of its namespace, policies, clock) -> decision. Pure.

The ValidatingAdmissionPolicies of the chart say the same in CEL; a test sends thousands of generated trainings
through both.
"""
