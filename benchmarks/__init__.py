"""Programs that measure the project, beside its peers where there are any; not tests."""
