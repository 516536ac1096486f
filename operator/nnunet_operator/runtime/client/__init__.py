"""The API server: requests, and what its answers mean."""
