"""Quorate: a control plane that survives the loss of any controller, and proves it."""
