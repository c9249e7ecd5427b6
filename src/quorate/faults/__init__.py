"""Faults: what is done to a cloud, how it is undone, and how one sees that it took. All of it values, nothing is done.

catalogue.py   every fault of a cloud by name, aimed at a controller or at who plays a part
partition.py   who may not talk to whom, as maps, and what follows from them
network.py     packets dropped by the controllers' kernels, interfaces taken down
process.py     killed, frozen, stopped
machine.py     power, cables, restarts: by what machines stand on
loss.py        parts of the model that are gone until they are healed, several at once
pressure.py    a full disk (disk.sh), no memory, the wrong time, a restart of everything
deadman.py     what undoes itself on a controller when nobody comes to undo it
onhost.py      small shell programs, and the notes of what was done
"""

from quorate.faults.catalogue import DEFAULTS, Line, Offer, Settings, catalogue
from quorate.faults.deadman import armed, undo_all
from quorate.faults.loss import losable, lost

__all__ = ["DEFAULTS", "Line", "Offer", "Settings", "armed", "catalogue", "losable", "lost", "undo_all"]
