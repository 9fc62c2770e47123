"""What every stage stands on: errors, files, paths, records, words, workers and the terminal."""
