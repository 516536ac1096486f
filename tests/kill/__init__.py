"""A training that is killed again and again must end as one that was not: `make test-kill`."""
