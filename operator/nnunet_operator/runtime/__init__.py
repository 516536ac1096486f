"""The impure rim: API client, caches, queue, HTTP endpoints."""
