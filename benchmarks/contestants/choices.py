"""The caches of s3fs that suit h5py best, as the scenario ``caches`` found them."""

BEST = {"cache_type": "readahead", "block_size": 1 << 18, "keep_open": True}
"""The quickest of those that the scenario ``caches`` tries."""
BEST_ANEW = {"cache_type": "readahead", "block_size": 1 << 16, "keep_open": False}
"""The quickest of those that open the file for each request, as one must whose files are many."""
