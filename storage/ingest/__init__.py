"""From uploaded or registered bytes to arrays that can be served."""
