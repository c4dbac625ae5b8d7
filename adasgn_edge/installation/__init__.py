"""What was built here, what the GPU's driver shows, and what of the package works on this machine."""
