"""Files of other formats, in Neo's words: parsed by the sandbox's processes only."""
