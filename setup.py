"""The one thing pyproject.toml can't say: the optional extension with the loops in C."""

import sys

from setuptools import Extension, setup

setup(
    ext_modules=[
        Extension(
            "ipcbench.measure._native",
            sources=["ipcbench/measure/native.c"],
            extra_compile_args=["-std=c11", "-O2", "-Wall", "-Wextra"],
            extra_link_args=["-pthread", "-lrt"] if sys.platform == "linux" else [],
            py_limited_api=True,
            optional=True,  # without a compiler all else must still install
        )
    ],
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
)
