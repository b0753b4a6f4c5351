"""Which bus a test runs on: every one in turn."""

import pytest


@pytest.fixture(params=["memory", pytest.param("nats", marks=pytest.mark.nats)])
def url(request):
    return request.getfixturevalue("nats_url") if request.param == "nats" else ""
