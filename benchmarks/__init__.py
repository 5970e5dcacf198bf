"""Measures notebook_remote side by side with its peers; README.md says how and why."""
