"""What a student of CS189 finds beside the package: scripts, tests, data sets, a notebook."""
