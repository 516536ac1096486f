"""The pure core: what is, in; what to do and what to say, out."""
