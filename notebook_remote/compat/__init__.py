"""Workarounds for jupyter_server: what the patches in ``patches/`` would make unnecessary."""
