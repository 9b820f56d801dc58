"""Every table and figure of docs/experiments.md: ``python bench/experiments``."""
