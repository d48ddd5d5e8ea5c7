"""Who may find what: the part of a snapshot that a question is asked of, settled before anything is ranked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date

import numpy as np
from numpy.typing import NDArray

from knowledge.passage import PUBLIC, Scope, Topic, valid_on

Mask = NDArray[np.bool_]


class Gate:
    """Answers "which topics exist for this person, here, today?" for one snapshot."""

    def __init__(self, topics: Sequence[Topic]) -> None:
        self._topics = topics
        audiences = [frozenset(topic.audience) for topic in topics]
        self._audiences = list(dict.fromkeys(audiences))
        number = {audience: at for at, audience in enumerate(self._audiences)}
        self._audience = np.array([number[one] for one in audiences], dtype=np.int32)
        self._dated = [at for at, topic in enumerate(topics) if topic.valid_from or topic.valid_to]
        self._tags = [frozenset(_plain(tag) for tag in (*topic.tags, topic.category)) for topic in topics]
        self._every_tag = frozenset().union(*self._tags) if topics else frozenset()
        self._siblings: dict[str, list[int]] = {}
        for at, topic in enumerate(topics):
            self._siblings.setdefault(topic.id, []).append(at)
        self.languages = tuple(sorted({topic.language for topic in topics if topic.language}))

    def allowed(self, scope: Scope, today: date) -> Mask:
        """The topics that exist for this scope. Audience and dates are walls."""
        mine = {_plain(one) for one in (*scope.audience, *scope.roles, scope.channel, PUBLIC) if one}
        open_to = np.array(
            [bool({_plain(one) for one in audience} & mine) for audience in self._audiences], dtype=bool
        )
        mask: Mask = open_to[self._audience] if len(self._topics) else np.zeros(0, dtype=bool)
        for at in self._dated:
            mask[at] &= valid_on(self._topics[at].valid_from, self._topics[at].valid_to, today)
        return mask

    def has(self, topic: str, mask: Mask) -> bool:
        """Whether a topic of this id is among those of `mask`."""
        return any(mask[at] for at in self._siblings.get(topic, ()))

    def narrowed(self, mask: Mask, scope: Scope, language: str) -> Mask:
        """Of the allowed topics, those of the scope's tags and language, where there are any."""
        wanted = {_plain(tag) for tag in scope.tags} & self._every_tag
        if wanted:
            tagged = [not self._topics[at].tags or bool(tags & wanted) for at, tags in enumerate(self._tags)]
            narrow = mask & np.array(tagged, dtype=bool)
            mask = narrow if narrow.any() else mask
        if len(self.languages) > (0 if any(not topic.language for topic in self._topics) else 1):
            mask = self._in_language(mask, language)
        return mask

    def _in_language(self, mask: Mask, language: str) -> Mask:
        """Where a topic exists in several languages, only the one that was asked in (or else the default) speaks."""
        mask = mask.copy()
        for variants in self._siblings.values():
            if len(variants) == 1:
                continue
            open_ones = [at for at in variants if mask[at]]
            best = next((at for at in open_ones if self._topics[at].language == language), None)
            if best is None:
                best = next((at for at in open_ones if self._topics[at].language in ("", "en")), None)
            for at in open_ones:
                mask[at] = best is None or at == best
        return mask


def _plain(tag: str) -> str:
    return tag.strip().lstrip("#@").casefold()
