"""Result links and stored images: look up, renew, store, regenerate."""
