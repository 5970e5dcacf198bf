"""Kernelspecs and their logos, against every gateway."""

from __future__ import annotations

import json
from pathlib import Path
from urllib.parse import urljoin

from notebook_remote.backends.remote.kernelspecs import our_url

from ...support.recipes import add_spec
from ...support.servers import Farm, Server
from ...support.shared_servers import SharedServers


def test_the_gateways_kernelspecs_are_listed(any_notebook: Server) -> None:
    answer = any_notebook.get("/api/kernelspecs").json()
    assert answer["default"] == "python3"
    spec = answer["kernelspecs"]["python3"]
    assert spec["name"] == "python3"
    assert spec["spec"]["language"] == "python"
    assert any_notebook.get("/api/kernelspecs/python3").json()["spec"] == spec["spec"]


def test_a_kernelspec_of_this_computer_is_listed_at_once(farm: Farm) -> None:
    """As with jupyter_server; a gateway is asked once in ``poll_interval`` seconds."""
    notebook = farm.notebook("--mode=local").start()
    before = notebook.get("/api/kernelspecs").json()["kernelspecs"].keys()
    folder = Path(notebook.env["JUPYTER_DATA_DIR"]) / "kernels" / "new"
    folder.mkdir(parents=True)
    spec = {"argv": ["new"], "display_name": "New", "language": "python"}
    (folder / "kernel.json").write_text(json.dumps(spec))
    assert notebook.get("/api/kernelspecs").json()["kernelspecs"].keys() == {*before, "new"}


def test_logos_come_through(any_notebook: Server) -> None:
    spec = any_notebook.get("/api/kernelspecs").json()["kernelspecs"]["python3"]
    logo = any_notebook.get(spec["resources"]["logo-64x64"])
    assert logo.status_code == 200
    assert logo.headers["Content-Type"] == "image/png"
    assert logo.content.startswith(b"\x89PNG")
    assert any_notebook.get("/kernelspecs/python3/nosuch.png").status_code == 404
    assert "Could not open static file" not in any_notebook.log


def test_no_way_out_of_a_kernelspecs_folder(notebook: Server) -> None:
    for path in ("..%2f..%2fapi%2fkernels", "%2e%2e/%2e%2e/api/status", "..%5c..%5capi"):
        answer = notebook.get(f"/kernelspecs/python3/{path}")
        assert answer.status_code in (403, 404), answer.text


def test_a_logos_address_leads_to_no_other_route() -> None:
    assert our_url("/b/", "python3", "/kernelspecs/x/a%20b.svg?v=1") == (
        "/b/kernelspecs/python3/a%20b.svg"
    )
    for file in (
        "../../logout",
        "%2e%2e/.%2E/logout",
        "/evil.test/x",
        ".",
        "a/..",
        "",
        "\ud800/..",
    ):
        assert our_url("/b/", "python3", f"/kernelspecs/x/{file}") == ""
    # A browser takes a backslash for a slash, and leaves out what is no character of an address.
    for file in ("..\\..\\logout", ".\t./logout"):
        shown = our_url("/b/", "python3", f"/kernelspecs/x/{file}")
        assert urljoin("http://h/", shown.replace("\\", "/")).startswith(
            "http://h/b/kernelspecs/python3/"
        )
        assert not {"\\", "\t"} & set(shown)
    assert our_url("/b/", "..", "/kernelspecs/x/logo.png") == ""


def test_a_kernelspecs_name_is_not_a_way_either(notebook: Server) -> None:
    for name in ("%2E%2E", "%2e", "..%2f..%2fstatus"):
        assert notebook.get(f"/api/kernelspecs/{name}").status_code == 404


def test_a_file_of_an_unknown_kernelspec(shared: SharedServers) -> None:
    for kind in ("local", "embedded", "kernel-gateway"):
        assert shared.notebook(kind).get("/kernelspecs/nosuch/logo-64x64.png").status_code == 404


def test_a_gateways_file_runs_nothing(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server")
    add_spec(gateway, "evil")
    folder = Path(gateway.env["JUPYTER_DATA_DIR"]) / "kernels" / "evil"
    (folder / "logo.html").write_text("<script>alert(1)</script>")
    notebook = farm.notebook(gateway=gateway.start()).start()
    answer = notebook.get("/kernelspecs/evil/logo.html")
    assert answer.status_code == 200
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_below_a_base_url(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server", base_url="/gw/").start()
    notebook = farm.notebook(gateway=gateway, base_url="/nb/").start()
    resources = notebook.get("/api/kernelspecs").json()["kernelspecs"]["python3"]["resources"]
    assert resources["logo-64x64"] == "/nb/kernelspecs/python3/logo-64x64.png"
    assert notebook.get("/kernelspecs/python3/logo-64x64.png").status_code == 200


def test_the_default_kernel_is_the_users_choice_or_the_gateways(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server", "--MultiKernelManager.default_kernel_name=gpu")
    add_spec(gateway, "gpu")
    add_spec(gateway, "other")
    gateway.start()
    notebook = farm.notebook(gateway=gateway).start()
    assert notebook.get("/api/kernelspecs").json()["default"] == "gpu"
    for name, expected in (("other", "other"), ("nosuch", "gpu")):
        option = f"--MultiKernelManager.default_kernel_name={name}"
        notebook = farm.notebook(option, gateway=gateway).start()
        assert notebook.get("/api/kernelspecs").json()["default"] == expected


def test_allowed_kernelspecs(farm: Farm) -> None:
    gateway = farm.gateway("jupyter-server")
    add_spec(gateway, "gpu")
    gateway.start()
    option = "--KernelSpecManager.allowed_kernelspecs=gpu"
    notebook = farm.notebook(option, gateway=gateway).start()
    assert list(notebook.get("/api/kernelspecs").json()["kernelspecs"]) == ["gpu"]
