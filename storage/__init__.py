"""Bytes, arrays and the catalog. Knows neither HTTP nor JSON."""
