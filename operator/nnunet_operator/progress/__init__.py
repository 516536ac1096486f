"""Asks trainer pods for the facts of their folds."""
