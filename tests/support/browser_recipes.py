"""Cells and steps that the tests in a browser share."""

from __future__ import annotations

import json
import os
from pathlib import Path

from .browser_pages import NotebookPage
from .servers import Server

BUSY = "print('busy', flush=True)\nwhile True:\n    pass"


SLIDER = """
from ipywidgets import IntSlider, Label, VBox
slider, label = IntSlider(value=7, description="n"), Label()
def show(change):
    label.value = f"the kernel has {change['new']}"
slider.observe(show, "value")
VBox([slider, label])
"""


IMAGE = """
import struct, zlib
from ipywidgets import Image
def chunk(kind, data):
    crc = struct.pack(">I", zlib.crc32(kind + data))
    return struct.pack(">I", len(data)) + kind + data + crc
rows = b"".join(b"\\0" + bytes(range(256)) * 3 for _ in range(64))
png = (b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 256, 64, 8, 2, 0, 0, 0))
       + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b""))
Image(value=png)
"""


UPLOAD = """
from ipywidgets import FileUpload
upload = FileUpload()
upload
"""


UPLOADED = """
import hashlib
content = bytes(upload.value[0].content)
print(upload.value[0].name, len(content), hashlib.sha256(content).hexdigest())
"""


def gateway_of(notebook: Server) -> tuple[str, str]:
    """URL and token of the gateway behind a notebook server; an embedded one's from its file."""
    if "JUPYTER_GATEWAY_URL" in notebook.env:
        return notebook.env["JUPYTER_GATEWAY_URL"], notebook.env["JUPYTER_GATEWAY_AUTH_TOKEN"]
    folder = Path(notebook.env["JUPYTER_RUNTIME_DIR"]) / "notebook-remote"
    info = json.loads(next(folder.glob("embedded-*.json")).read_text())
    return info["url"], info["token"]


def upload(notebook: NotebookPage, size: int) -> bytes:
    """Give a FileUpload widget a file of random bytes."""
    cell = notebook.start_cell(UPLOAD)
    content = os.urandom(size)
    with notebook.page.expect_file_chooser() as chooser:
        cell.output.locator("button").click()
    chooser.value.set_files({"name": "a.bin", "mimeType": "x/y", "buffer": content})
    return content
