"""What both processes must agree on: if only one of them needs it, it lives there.

`service` (HTTP in) and `worker` (everything slow) never import each other; both stand on this
package, and this package knows neither of them.
"""
