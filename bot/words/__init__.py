"""The catalogues: one file per language, the same keys and placeholders in each."""
