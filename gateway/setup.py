"""Packaging of notebook-remote-gateway, the add-on for a gateway's environment."""

from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
VERSION: dict[str, str] = {}
exec((HERE / "notebook_remote_gateway" / "_version.py").read_text(encoding="utf-8"), VERSION)

setup(
    name="notebook-remote-gateway",
    version=VERSION["__version__"],
    description="Single-use tickets for a kernel gateway, so that a page can talk to it directly",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="BSD-3-Clause",
    packages=["notebook_remote_gateway"],
    package_data={"notebook_remote_gateway": ["py.typed"]},
    # Off, but known: `jupyter server extension enable` does not take what it has not heard of.
    data_files=[
        (
            "etc/jupyter/jupyter_server_config.d",
            ["jupyter-config/notebook_remote_gateway.json"],
        )
    ],
    python_requires=">=3.10",
    # The gateway brings the rest. Enterprise Gateway needs jupyter_server 1, so none is named here.
    install_requires=["PyJWT>=2.8,<3", "tornado>=6.1"],
    classifiers=[
        "Framework :: Jupyter",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
