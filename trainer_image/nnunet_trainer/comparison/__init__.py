"""Whether a training is as good as another: estimates, tests and verdicts from the scores of single cases. Pure."""
