"""Parsing files from strangers in short-lived processes that can do nothing else."""
