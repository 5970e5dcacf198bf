"""What gateways say is brought into form at the door, and what is no answer is left out."""

from __future__ import annotations

from typing import Any

import pytest

from notebook_remote.client.models import kernel_model, kernelspec_model, names_missing_kernel

ID = "330944aa-1111-2222-3333-9a8119cb0000"
ODD: list[Any] = [None, "text", [], 5, True, {"a": None}]


@pytest.mark.parametrize("odd", ODD)
def test_a_kernelspec_has_what_the_rest_relies_on(odd: Any) -> None:
    spec = dict.fromkeys(
        ("argv", "display_name", "language", "metadata", "env", "interrupt_mode"), odd
    )
    model = kernelspec_model("r", {"name": odd, "spec": spec, "resources": odd})
    assert model is not None
    assert model["name"] == "r"
    assert isinstance(model["resources"], dict)
    types = {key: type(value) for key, value in model["spec"].items()}
    assert types == {
        "argv": list, "display_name": str, "language": str, "metadata": dict, "env": dict,
        "interrupt_mode": str,
    }  # fmt: skip
    assert model["spec"]["display_name"]


@pytest.mark.parametrize("odd", [*ODD[:-1], {"spec": None}, {"spec": "x"}, {"spec": []}, {}])
def test_what_is_no_kernelspec(odd: Any) -> None:
    assert kernelspec_model("r", odd) is None


@pytest.mark.parametrize("name", ["", "a/b", "a\nb", "x" * 201, None, 5])
def test_what_is_no_name(name: Any) -> None:
    assert kernelspec_model(name, {"spec": {}}) is None


@pytest.mark.parametrize("odd", ODD)
def test_a_kernel_has_what_the_rest_relies_on(odd: Any) -> None:
    keys = ("name", "last_activity", "execution_state", "connections", "reason")
    model = kernel_model({"id": ID, **dict.fromkeys(keys, odd)})
    assert model is not None
    assert {type(model[key]) for key in keys if key != "connections"} == {str}
    assert type(model["connections"]) is int
    assert kernel_model(odd) is None
    assert kernel_model({"id": odd}) is None


def test_a_full_kernel_stays_as_it_is() -> None:
    model = {
        "id": ID, "name": "r", "last_activity": "2026-01-01T00:00:00Z", "execution_state": "idle",
        "connections": 2, "reason": "",
    }  # fmt: skip
    assert kernel_model(model) == model


@pytest.mark.parametrize(
    ("answer", "gone"),
    [
        ({"message": f"Kernel does not exist: {ID}"}, True),
        ({"message": "", "reason": f"Kernel does not exist: {ID}"}, True),
        ({"message": f"The gateway has no kernel {ID} (any more)."}, True),
        ({"message": "no Route matched with those values"}, False),
        ({"message": f"no route for /api/kernels/{ID}"}, False),
        ({"message": f"Kernel does not exist: {ID}0"}, False),
        ({"message": None, "reason": "Not Found"}, False),
        ([ID], False),
        (None, False),
    ],
)
def test_who_may_say_that_a_kernel_is_gone(answer: Any, gone: bool) -> None:
    assert names_missing_kernel(answer, ID) is gone
