"""The API of nnunet.dev: what users write, what the operator reports, what the trainer is told.

Imports pydantic and the standard library only, so that the trainer image can carry it.
"""
