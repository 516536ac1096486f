"""The subcommands of nnunet-trainer."""
