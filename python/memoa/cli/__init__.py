"""The command line ``memoa``. Needs the extra ``memoa[cli]``."""
