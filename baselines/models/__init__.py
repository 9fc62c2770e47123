"""One paper, one file; a file put here is registered by being here."""
