"""Packaging of notebook-remote; tool settings are in pyproject.toml."""

from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).parent
VERSION: dict[str, str] = {}
exec((HERE / "notebook_remote" / "_version.py").read_text(encoding="utf-8"), VERSION)

setup(
    name="notebook-remote",
    version=VERSION["__version__"],
    description="Jupyter Notebook whose kernels run somewhere else: on a kernel gateway",
    long_description=(HERE / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    license="BSD-3-Clause",
    packages=find_packages(include=["notebook_remote", "notebook_remote.*"]),
    package_data={
        "notebook_remote": [
            "py.typed",
            "backends/remote/event_schemas/*",
            "handlers/openapi.yaml",
            "labextension/*/*",
            "labextension/*/schemas/*/*",
            "labextension/*/static/*",
        ]
    },
    python_requires=">=3.10",
    install_requires=[
        "notebook>=7.5,<8",
        "jupyter_server>=2.16.0,<3",
        "jupyter_client>=8.6.0",
        "tornado>=6.4.2",
        "traitlets>=5.14.3",
        "anyio>=4",  # its timeouts do not lose a cancellation, as asyncio.wait_for does before 3.12
        "httpx>=0.27,<1",
        "sniffio>=1.3",  # without it httpx looks for it in the file system, several times a request
        "ipykernel>=6.29.5",
        "jupyterlab_widgets>=3.0.11,<4",  # the page's side of ipywidgets, which the kernels have
        "jupyter_events>=0.11",
        "jsonschema>=4.18",  # this and the next as jupyter_events has them
        "pyyaml>=6.0",
        "prometheus_client>=0.20",
        "nbclient>=0.10",
        "nbformat>=5.7",
        "tqdm>=4.65",
        "requests>=2.32",  # this and the next for the doctor, which shares nothing with our client
        "websocket-client>=1.8",
    ],
    extras_require={
        "keyring": ["keyring>=25"],
        "test": [
            "jupyter_kernel_gateway>=3.0.1",
            "ipywidgets>=8.1",
            "debugpy>=1.8",
            "playwright>=1.48",
            "proxy.py>=2.4",
            "psutil>=5.9",
            "hypothesis>=6.100",
            "keyring>=25",
            "nbconvert>=7.16",
            "openapi-spec-validator>=0.7",
            "papermill>=2.6",
            "pytest>=8",
            "pytest-jupyter>=0.10",  # for tests/end_to_end/test_upstream.py
            "pytest-timeout>=2.3",
            "pytest-xdist>=3.6",
            "requests>=2.32",
            "trustme>=1.1",
            "websocket-client>=1.8",
            "wheel>=0.45",  # this and the next for patches/
            "tomli>=2; python_version < '3.11'",
        ],
        "bench": [
            "jupyter_kernel_gateway>=3.0.1",
            "matplotlib>=3.9",
            "psutil>=5.9",
            "requests>=2.32",
            "trustme>=1.1",
            "websocket-client>=1.8",
        ],
        "docs": ["mkdocs-material>=9.6"],
        "lint": ["mypy>=1.11", "ruff>=0.6", "types-jsonschema>=4", "types-PyYAML>=6"],
    },
    entry_points={
        "console_scripts": ["jupyter-notebook-remote = notebook_remote.app:main"],
        "papermill.engine": ["notebook-remote = notebook_remote.headless.papermill:GatewayEngine"],
    },
    classifiers=[
        "Framework :: Jupyter",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.10",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
    ],
)
