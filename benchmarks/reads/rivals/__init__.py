"""The rivals, each as its own documentation or the popular guides have it; an ASGI application a module."""
