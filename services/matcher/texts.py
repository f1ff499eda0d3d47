"""Many short texts as one block of UTF-8 and where each begins: a tenth of what as many Python strings take.

Sorted texts can be searched: UTF-8 orders bytes as Python orders characters (RFC 3629 §1), so no text is decoded to
compare it.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

import numpy as np
import numpy.typing as npt

from services.matcher.ranges import runs

SLICE: Final = 65_536
"""Texts that are copied at a time, so that their places take no more memory than they do."""


@dataclass(frozen=True)
class Texts:
    """Immutable texts by number."""

    block: npt.NDArray[np.uint8]
    begins: npt.NDArray[np.uint32]
    """One more than there are texts: where each begins and the one before it ends."""

    @classmethod
    def of(cls, texts: Iterable[bytes]) -> "Texts":
        """The texts in their order, each in UTF-8."""
        encoded = list(texts)
        block = np.frombuffer(b"".join(encoded), dtype=np.uint8)
        return cls(block, _begins(np.fromiter(map(len, encoded), np.uint64, len(encoded))))

    def __len__(self) -> int:
        return len(self.begins) - 1

    def __getitem__(self, number: int) -> str:
        return self._bytes(number).decode()

    def encoded(self) -> list[bytes]:
        """All of them, each in UTF-8."""
        block = self.block.tobytes()
        return [block[begin:end] for begin, end in pairwise(self.begins.tolist())]

    def take(self, numbers: npt.NDArray[np.int64]) -> "Texts":
        """The texts with these numbers, in this order."""
        begins, ends = self.begins[:-1][numbers], self.begins[1:][numbers]
        slices = range(0, max(len(numbers), 1), SLICE)
        blocks = [self.block[runs(begins[i : i + SLICE], ends[i : i + SLICE])] for i in slices]
        return Texts(np.concatenate(blocks), _begins((ends - begins).astype(np.uint64)))

    def __add__(self, others: "Texts") -> "Texts":
        lengths = np.concatenate([np.diff(self.begins), np.diff(others.begins)])
        return Texts(np.concatenate([self.block, others.block]), _begins(lengths.astype(np.uint64)))

    def find(self, text: str) -> int | None:
        """The number of a text among sorted texts, or None."""
        wanted, low, high = text.encode(), 0, len(self)
        while low < high:
            middle = (low + high) // 2
            if self._bytes(middle) < wanted:
                low = middle + 1
            else:
                high = middle
        return low if low < len(self) and self._bytes(low) == wanted else None

    def _bytes(self, number: int) -> bytes:
        return self.block[self.begins[number] : self.begins[number + 1]].tobytes()


def _begins(lengths: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint32]:
    begins = np.zeros(len(lengths) + 1, dtype=np.uint64)
    np.cumsum(lengths, out=begins[1:])
    if begins[-1] > np.iinfo(np.uint32).max:
        raise ValueError("more than 4 GB of text in one column")
    return begins.astype(np.uint32)
