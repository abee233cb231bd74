"""What slices cost here and with other ways of serving them, measured side by side: ``python3 dev.py bench``."""
