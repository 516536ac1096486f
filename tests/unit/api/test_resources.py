"""What a pod gets that computes with the networks of several configurations."""

from typing import Any

import pytest

from nnunet_api.resources import Resources

NAMES = ["2d", "3d_fullres"]


@pytest.mark.parametrize(
    ("field", "of_all", "of_2d", "of_3d", "expected"),
    [
        pytest.param("memory", "32Gi", None, None, "32Gi", id="none has its own"),
        pytest.param("memory", "32Gi", "8Gi", "48Gi", "48Gi", id="the most of all"),
        pytest.param("memory", "32Gi", "8Gi", "16Gi", "32Gi", id="at least that of the training"),
        pytest.param("memory", "32Gi", "34359738369", None, "34359738369", id="bytes"),
        pytest.param("memory", "1G", "1Gi", "1000M", "1Gi", id="units of 1000 and of 1024"),
        pytest.param("memory", "1T", "1Ti", "1023Gi", "1Ti", id="large ones"),
        pytest.param("memory", "900k", "900Ki", "0.5M", "900Ki", id="small ones"),
        pytest.param("cpu", "1500m", "1.6", "1", "1.6", id="parts of a core"),
        pytest.param("sharedMemory", "8Gi", "512Mi", "9Gi", "9Gi", id="shared memory"),
        pytest.param("cpuLimit", "8", "16", "9", "16", id="the highest limit"),
        pytest.param("cpuLimit", None, "16", "9", None, id="no limit is the most"),
        pytest.param("ephemeralStorage", None, "2Gi", None, "2Gi", id="what only one asks for"),
        pytest.param("ephemeralStorage", None, None, None, None, id="what nobody asks for"),
    ],
)
def test_of_each_field_the_most(
    field: str, of_all: str | None, of_2d: str | None, of_3d: str | None, expected: str | None
) -> None:
    def given(value: str | None) -> dict[str, Any]:
        return {} if value is None else {field: value}

    own = {"2d": given(of_2d), "3d_fullres": given(of_3d), "3d_lowres": given("999")}
    resources = Resources.model_validate({**given(of_all), "configurations": own})
    assert resources.of_all(NAMES).model_dump(mode="json", by_alias=True)[field] == expected
