"""Work that is done beside answering: who does it, and what each kind of it does."""
