"""Other people's case files: each format read into cases of our own shape, or refused with the place in the file.

Pure: the content of a file in, `items` out. Nothing is guessed: a status, a stage or a municipality that has no word of
ours is refused by its name. Whether the case that came out can be meant is asked by the door, as of every case.
"""

from typing import Literal

Format = Literal["nardialog", "geojson", "detaljplan", "wzdx", "ukplanning"]
"""Here, where a command's help can have it without waiting for the readers."""
