"""`python3 -m quorate.balancer`, and the one file that is shipped to controllers."""

import sys

from quorate.balancer.main import main

if __name__ == "__main__":
    sys.exit(main())
