"""From recipe and sources to the records of a manifest."""
