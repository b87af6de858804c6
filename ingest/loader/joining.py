"""Mends a consumer group that gives nobody anything.

The embedded broker can keep a group for good in which members died while they joined: it has no members any more and
answers no new one (seen for more than 100 s; rejoining and a new consumer change nothing). Deleting the empty group
cures it at once. It costs the group's committed offsets, which the loader does not believe anyway; Kafka refuses to
delete a group that has members.
"""

import structlog

from ingest.kafka import KafkaAdmin, KafkaUnavailableError

log = structlog.get_logger()


class Joining:
    """`mend` is called from time to time by a member that waits for its assignment; not from the loop's thread."""

    def __init__(self, admin: KafkaAdmin, group: str) -> None:
        self._admin = admin
        self._group = group

    def mend(self) -> None:
        """Deletes the group where nobody is in it, not even we who have long asked to be; never raises.

        The embedded broker lists no members and lets a group with members be deleted: these join again.
        """
        try:
            members = self._admin.group_members(self._group)
            if members:
                log.info("waiting_for_group", group=self._group, members=members)
                return
            self._admin.delete_group(self._group)
        except KafkaUnavailableError as error:
            log.warning("waiting_for_group", group=self._group, words=error.seen)
            return
        log.warning("group_mended", group=self._group, words="it had no members and let nobody in: made anew")
