"""The trainer against plain nnU-Net: `make bench-trainer`."""
