"""Kernels on gateways for programs without a page: jupyter_client's managers and clients.

``manager`` has the kernel managers that nbclient, nbconvert and papermill take, ``client`` their
kernel clients, ``channels`` the WebSocket behind them, and ``notebook_run`` runs a whole notebook.
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
