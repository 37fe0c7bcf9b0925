"""Small foundations without dependencies: digests, durable files, records, optional packages."""
