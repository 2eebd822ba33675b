"""The admin API of one process: its table of actions, over all that the process knows and can."""

from __future__ import annotations

from typing import TYPE_CHECKING

from proxy import __version__
from proxy.app.admin_act import Act
from proxy.app.admin_health import Health
from proxy.app.admin_keys import Keys
from proxy.app.admin_limits import LimitsLook
from proxy.app.admin_look import Look
from proxy.app.admin_recommend import Recommend
from proxy.app.admin_record import Record
from proxy.ops.admin_api import Action
from proxy.ops.admin_events import Feed
from proxy.ops.admin_site import AdminSite

if TYPE_CHECKING:
    from proxy.app.process import Process


def actions(process: Process) -> list[Action]:
    """All that it can be asked, and told to do."""
    look = Look(process)
    keys, limits = Keys(process), LimitsLook(process)
    parts = (look, Health(process, look), Act(process, look), limits, Record(process), Recommend(process, look), keys)
    return [action for part in parts for action in part.actions()]


def site(process: Process) -> AdminSite:
    """Answers where the configuration in force says, with the keys that it says."""
    feed = Feed(process.events, lambda: process.draining.active)
    return AdminSite(actions(process), feed, lambda: process.runtime.desk.config.admin, __version__)
