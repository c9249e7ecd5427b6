"""What is left to look counts from the start of the process: a slow one takes from the look, not from the 5 s."""

from __future__ import annotations

import subprocess
import sys
import time


def test_the_start_of_the_process_is_known_with_its_imports() -> None:
    slow = "import time; time.sleep(0.3); from quorate.cli.status import _since_start; print(_since_start())"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", slow], capture_output=True, text=True, check=True, timeout=60)
    whole = time.monotonic() - began
    tick = 0.02
    assert 0.3 <= float(done.stdout) <= whole + tick
