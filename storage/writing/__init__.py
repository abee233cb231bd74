"""Creating, changing and archiving objects on behalf of a caller."""
