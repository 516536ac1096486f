"""The local cluster itself; in a folder, so that it runs before the tests that keep the machine's one cluster up."""
