"""A mesh that runs in no time: the real decisions on a clock that is stepped. See README.md."""
