"""What setup.py decides and does: which parts are built, for which processors and GPUs, with how many jobs.

Used while building only; not installed. What was decided goes into the package as ``_build.json``, which
``adasgn_edge/installation/build_info.py`` reads.
"""
