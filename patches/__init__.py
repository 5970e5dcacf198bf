"""Patches for upstream packages, and the command that checks and builds them."""
