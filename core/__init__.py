"""Shared by both processes; what only one of them needs lives there.

`service` (HTTP in) and `worker` (everything slow) never import each other. Both build on this
package, which knows neither.
"""
