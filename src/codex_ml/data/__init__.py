"""From sources to packed tokens: sources → clean → dedup → split → tokenize → pack → order."""
