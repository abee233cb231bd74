"""What each file format says in Neo's words, one file each."""
