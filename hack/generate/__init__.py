"""Tools for developers: what `make generate` runs."""
