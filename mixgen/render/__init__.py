"""From the records of a manifest to audio files."""
