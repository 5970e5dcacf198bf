"""Kernels on gateways for programs without a page: jupyter_client's managers and clients.

``manager`` has the kernel managers that nbclient, nbconvert and papermill take (``papermill`` is an
engine for it), over ``kernel``, one kernel on a gateway, which ``selection`` chooses by the
kernelspec's name. ``client`` has the kernel clients, over ``channels``, a WebSocket to the gateway
with ``pending_replies`` and ``message_queue``. ``event_loop_thread`` is where both run.
``notebook_run`` runs a whole notebook and saves its ``notebook_file``.
"""

from .client import BlockingGatewayKernelClient, GatewayKernelClient
from .manager import (
    BlockingGatewayKernelManager,
    GatewayKernelManager,
    GatewayNotebookClient,
)

__all__ = [
    "BlockingGatewayKernelClient",
    "BlockingGatewayKernelManager",
    "GatewayKernelClient",
    "GatewayKernelManager",
    "GatewayNotebookClient",
]
