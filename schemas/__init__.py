"""JSON and query strings, to and from values."""
