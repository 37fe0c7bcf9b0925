"""Working parts for plugins, each with a passing test and its registration."""
