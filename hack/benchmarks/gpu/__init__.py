"""The trainer beside plain nnU-Net on a machine with an NVIDIA GPU: `make check-gpu`."""
