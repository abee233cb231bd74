"""The SQL side: what there is, whose it is and how it hangs together."""
