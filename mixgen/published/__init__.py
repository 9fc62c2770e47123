"""Published sets: their official lists in, records out whose samples are those of their scripts."""
