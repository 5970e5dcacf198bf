"""Packaging of notebook-remote-gateway, the add-on for a gateway's environment."""

from pathlib import Path

from setuptools import setup

HERE = Path(__file__).parent
VERSION: dict[str, str] = {}
exec((HERE / "notebook_remote_gateway" / "_version.py").read_text(encoding="utf-8"), VERSION)

setup(
    name="notebook-remote-gateway",
    version=VERSION["__version__"],
    description="Add-on for Jupyter gateways: pages connect to kernels directly, with tickets",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="BSD-3-Clause",
    packages=["notebook_remote_gateway"],
    package_data={"notebook_remote_gateway": ["py.typed"]},
    # Disabled at first. `jupyter server extension enable` accepts only extensions with such a file.
    data_files=[
        (
            "etc/jupyter/jupyter_server_config.d",
            ["jupyter-config/notebook_remote_gateway.json"],
        )
    ],
    python_requires=">=3.10",
    # The gateway has the rest. No version of jupyter_server: Enterprise Gateway needs version 1.
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
