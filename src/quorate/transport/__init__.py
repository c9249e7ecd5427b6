"""The only code that reaches machines. `contract.py` says what a transport is; the rest are transports."""
