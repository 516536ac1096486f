"""What each stage costs before and after the work that it is there for: `make bench-start`."""
