"""Tools that users and CI run and that are no tests."""
