# SPDX-License-Identifier: MIT
"""A sample of `make power`: the power goes at every flash operation of save(), deploys and cp."""

import power
from test_natmod import micropython, unix  # noqa: F401


def test_the_old_file_or_the_new_one(unix):  # noqa: F811
    found = power.run(unix, 300, 0)
    print(found)
    assert all(count > 100 for count in found.values())
