"""The public HTTP process. It calls neither the provider nor callbacks; slow work is queued."""
