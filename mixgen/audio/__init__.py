"""Audio files and arrays: reading, sample formats, levels, activity, pitch and stretch."""
