"""What a shorter or a stopped training costs, on synthetic tasks of known hardness: `make table-schedules`."""
