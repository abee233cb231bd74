"""The kinds of store, one file each."""
