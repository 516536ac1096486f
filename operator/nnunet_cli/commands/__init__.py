"""The commands: arguments in, exit code out. What they do is in the modules beside."""
