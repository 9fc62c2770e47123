"""Running separators on sets and recordings, and what that costs."""
