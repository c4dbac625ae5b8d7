"""What the CUDA kernels take of a GPU, found without one: registers, shared memory, spills, occupancy, compile time."""
