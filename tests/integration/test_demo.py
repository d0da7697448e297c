# SPDX-License-Identifier: Apache-2.0
"""`make demo` shows all it says and leaves nothing behind. What KEEP=1 leaves up: test_readme.py."""

from lib.demo import demo, left_behind, stop


def test_demo_cleans_up(only_demo):  # pylint: disable=unused-argument
    try:
        demo()
        assert not left_behind()
    finally:
        stop()
