# SPDX-License-Identifier: Apache-2.0
"""docs/ says what is there: links lead somewhere, files and targets exist, tables are complete."""

import os
import re
import subprocess

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGES = ["README.md", "tests/integration/README.md"] + sorted(
    f"docs/{name}" for name in os.listdir(os.path.join(ROOT, "docs")) if name.endswith(".md")
)
# A program writes them, perhaps later than the page that links to them.
MADE_LATER = {"docs/test-report.md"}


def read(name):
    with open(os.path.join(ROOT, name), encoding="utf-8") as f:
        return f.read()


def prose(text):
    """Without code blocks."""
    return re.sub(r"^( *)```.*?^\1```", "", text, flags=re.DOTALL | re.MULTILINE)


def anchors(text):
    """What GitHub makes of headings."""
    headings = re.findall(r"^#+ +(.*)$", prose(text), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", PAGES)
def test_links(page):
    text = read(page)
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(text)):
        if re.match(r"[a-z]+:", target):
            continue
        name, _, anchor = target.partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(page), name)) if name else page
        if path in MADE_LATER:
            continue
        assert os.path.exists(os.path.join(ROOT, path)), f"{page}: {target}: no such file"
        if anchor:
            assert anchor in anchors(read(path)), f"{page}: {target}: no such heading"


@pytest.mark.parametrize("page", PAGES)
def test_files_that_are_named(page):
    """`dataplane/core/drop.h` in a page is a file of the tree; a name that ends in / is a folder."""
    tree = r"`((?:lib|dataplane|controller|cli|configs|tests|scripts|docs)/[\w./-]+)`"
    for name in re.findall(tree, prose(read(page))):
        if name in MADE_LATER or "curfew" in name:  # the module that add-a-module.md adds
            continue
        assert os.path.exists(os.path.join(ROOT, name)), f"{page}: {name}"


@pytest.mark.parametrize("page", PAGES)
def test_make_targets(page):
    targets = set(re.findall(r"^([a-z-]+):", read("Makefile"), re.MULTILINE))
    for line in re.findall(r"(?:`|^ {4}|&& )make((?: [a-z-]+| [A-Z]+=\w+)*)", read(page), re.MULTILINE):
        words = [word for word in line.split() if "=" not in word]
        assert set(words) <= targets, f"{page}: make {line}"


def test_readme_leads_everywhere():
    for page in PAGES[2:]:
        assert f"]({page})" in read("README.md"), f"README.md does not link to {page}"


def test_drop_reasons_that_are_named():
    """A reason in the prose of the pages for users is one that the dataplane knows."""
    known = set(re.findall(r'X\(\w+,\s*"(\w+)"', read("dataplane/core/drop.h")))
    assert len(known) > 20
    for page in ("docs/packet-path.md", "docs/troubleshooting.md"):
        for names in re.findall(r"(?:\([Ee]lse|dropped as|drops as|drop of) ((?:`\w+`(?:, | or )?)+)", read(page)):
            assert set(re.findall(r"`(\w+)`", names)) <= known, f"{page}: {names}"


@pytest.mark.parametrize("source", ["dataplane/core/config.c", "controller/config.c"])
def test_config_keys_are_described(source):
    text, page = read(source), read("docs/operations.md")
    keys = re.findall(r'\{(?:\.name = )?"(\w+)",\s*(?:\.type = )?FIELD_', text)
    assert len(keys) >= 7
    missing = [key for key in keys if not re.search(rf"`(\w+\.)?{key}`", page)]
    assert not missing, f"docs/operations.md does not describe {missing} of {source}"


def test_metrics_are_described():
    """Every metric, and no other."""
    source = "".join(read(f"controller/metrics{part}.c") for part in ("", "_flow_log", "_service"))
    made = set(re.findall(r'"(vpc_\w+?)(?:_bucket|_sum|_count)?[{" ]', source))
    told = set(re.findall(r"`(vpc_\w+)`", re.search(r"## Metrics(.*?)Worth", read("docs/operations.md"), re.DOTALL)[1]))
    assert made == told


# A number in the prose → the line of the source that makes it so. When this fails, one of the two has to follow.
FACTS = [
    ("docs/architecture.md", "finds nothing for 50 µs", "dataplane/core/worker.c", "#define SPIN_US 50"),
    ("docs/operations.md", "finds nothing for 50 µs", "dataplane/core/worker.c", "#define SPIN_US 50"),
    ("docs/architecture.md", "Every 10 ms the control thread looks at an eightieth", "dataplane/core/upkeep.c", "#define TICK_MS 10\n#define TICKS 80"),
    ("docs/architecture.md", "up to twelve slots (six in its record", "dataplane/core/epoch.h", "#define EPOCH_DEPS 12"),
    ("docs/architecture.md", "five keys in a bucket", "dataplane/session/bucket.h", "#define BUCKET_KEYS 5u"),
    ("docs/architecture.md", "keeps 131,072 records", "dataplane/session/session.h", "#define SESSION_POPULATE_AHEAD (1u << 17)"),
    ("docs/architecture.md", "unanswered flows after 5 s", "dataplane/session/expire.c", ".full_unanswered_s = 5"),
    ("docs/architecture.md", "at most 1,000 items", "controller/push.c", "#define CHUNK 1000"),
    ("docs/architecture.md", "256 buckets", "lib/southbound.h", "#define SB_BUCKETS 256"),
    ("docs/architecture.md", "for 50 ms at most", "controller/wave.h", "#define WAVE_HOLD_MS 50"),
    ("docs/architecture.md", "at least twice a second", "controller/node_link.c", "#define BACKOFF_MAX_MS 500"),
    ("docs/packet-path.md", "at most 45 others", "dataplane/fragment/fragment.h", "46u /* of one"),
    ("docs/packet-path.md", "for two seconds at most", "dataplane/fragment/fragment.h", "#define FRAGMENT_TIMEOUT_MS 2000u"),
    ("docs/packet-path.md", "at most 100 a second", "dataplane/vpc/icmp_error.h", "#define ICMP_ERROR_RATE 100u"),
    ("docs/packet-path.md", "bursts of up to 64", "dataplane/core/worker.h", "#define BURST 64"),
    ("docs/operations.md", "newest 10,000", "controller/events.c", "#define KEEP 10000"),
    ("docs/operations.md", "more than 4 KiB", "controller/audit.c", "#define PARAMS_MAX 4096"),
    ("docs/operations.md", "64 MiB and 64 levels; 256 clients", "lib/jsonrpc_server.h", "connections at a time; 256"),
    ("docs/operations.md", "up to 16. Give QEMU", "dataplane/port/vhost_user.h", "#define VHOST_USER_PAIRS_MAX 16u"),
    ("docs/operations.md", "up to 64", "dataplane/core/worker.h", "#define WORKER_MAX 64"),
]


@pytest.mark.parametrize("page, claim, source, line", FACTS, ids=[fact[1] for fact in FACTS])
def test_numbers(page, claim, source, line):
    assert claim in " ".join(read(page).split()), f"{page} does not say any more: {claim}"
    assert line in read(source), f"{page} says: {claim}; {source} does not: {line}"


def test_generated_parts_are_current():
    build = os.path.dirname(os.path.dirname(os.environ["REFERENCE"]))
    done = subprocess.run(
        [os.path.join(ROOT, "scripts", "docs"), "--check"],
        env={**os.environ, "BUILD": os.path.relpath(build, ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{done.stdout}{done.stderr}: run make docs"
