"""Where a version is published and never changes: a folder, or a data set on the Hub."""
