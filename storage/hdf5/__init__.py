"""HDF5 files, read by byte ranges."""
