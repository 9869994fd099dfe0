"""A local stand-in for the FLUX image API: real HTTP, real images, real webhooks, faults on demand.

It shares no code with the other packages: as an independent implementation of the provider's API it
can judge what they do.
"""
