"""One gateway, from here: who we are to it, its REST API, and its kernels' WebSockets.

It has no part of a server in it: runs without a page use it as well.
"""
