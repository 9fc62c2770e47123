"""Audio files and arrays: reading, sample formats, levels, activity, and sox."""
