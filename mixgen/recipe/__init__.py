"""What kind of mixtures a set holds, in a few lines of YAML."""
