"""One paper, one module; the registry finds every module here by itself."""
