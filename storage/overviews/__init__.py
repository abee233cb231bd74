"""Overviews: minima, maxima and sums of runs of samples, stored, so that any length is a few points in little work."""
