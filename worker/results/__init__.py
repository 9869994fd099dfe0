"""A result's link and its image: asked for, renewed, stored, made again."""
