"""What a site goes by where its configuration says nothing."""

from edge_agent.config import AgentConfig
from middle_tier.config import SiteConfig


def test_state_lies_in_the_home_folder_wherever_it_is_started(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    kept = tmp_path / ".tiermesh" / "state"
    agent = AgentConfig(node="cam-7", site="yard")
    assert agent.state_dir == kept / "cam-7"
    assert SiteConfig(site="yard", no_auth=True).usage_file == kept / "yard" / "usage.db"
    assert SiteConfig(site="yard", no_auth=True, agent=agent).kept_dir == agent.state_dir
