"""Other ways of serving slices, one small web application each."""
