"""Score a folder of estimates against the references of a rendered set."""
