"""A local stand-in for the FLUX image API: real HTTP, real images, real webhooks, faults on demand.

It shares no code with the other packages: it is a second, independent reading of
the provider's API, and therefore fit to judge what they do.
"""
