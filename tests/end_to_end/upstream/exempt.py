"""The tests of jupyter_server that cannot be run over HTTP, with their reasons.

All of them fail with jupyter_server itself as the running server;
``tests/end_to_end/test_upstream.py`` sees
to it that no other name stands here.
"""

CULLING = "has a server that culls idle kernels after 5 s, which no other test could live with"
DEFAULT = "changes the default kernel's name in the process of the server"

EXEMPT = {
    "kernels/test_cull.py::test_cull_idle": CULLING,
    "kernels/test_cull.py::test_cull_connected": CULLING,
    "kernels/test_cull.py::test_cull_dead": CULLING,
    "kernels/test_restart_error.py::test_restart_failure_returns_500_json": (
        "puts a restart that fails into the process of the server"
    ),
    "sessions/test_api.py::test_create_bad": DEFAULT,
    "sessions/test_api.py::test_create_session_duplicate_kernel_id_returns_409": (
        "puts a session manager that fails into the process of the server"
    ),
}
