"""Choosing among the targets of a route: what a request needs, what may be asked, in which order, and why. All pure."""
