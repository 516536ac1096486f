"""Training a fold under this project's schedule."""
