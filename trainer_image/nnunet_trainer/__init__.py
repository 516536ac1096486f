"""The program in the trainer pod: plan, train, evaluate."""
