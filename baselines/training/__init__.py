"""Training: its data, its configuration and its loop."""
