"""One blueprint per namespace of addresses."""
