"""For each reason: what it means, what to do, and the first command."""
