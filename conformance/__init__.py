"""Conformance: the clients' own published test suites, run through a balancer (`make conformance`, README.md)."""
