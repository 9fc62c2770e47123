"""Running separators on sets and recordings, and measuring what that costs."""
