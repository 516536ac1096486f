"""Trainings whose Jobs a real Kueue queues."""
