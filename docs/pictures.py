"""Take the README's pictures of Dagster from a running instance: a demo's store, the webserver, Debian's chromium.

pip install playwright
featurestore demo --root data/shop
python docs/pictures.py data/shop
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

HERE, PORT = Path(__file__).parent, 3987
CHROMIUM = "/usr/bin/chromium"
PAGES = {
    "dagster-assets.png": "/asset-groups",
    "dagster-feature.png": "/assets/features/sku_returns?view=overview",
    "dagster-checks.png": "/assets/ledger/sku_returns?view=checks",
    "dagster-drift.png": "/assets/audit?view=partitions&partition=2025-12",
}
WAIT_MS = 9_000


def main() -> None:
    """Start the webserver on the store, take the pictures, and stop it."""
    root = Path(sys.argv[1]).resolve()
    environment = {
        **os.environ,
        "DAGSTER_HOME": str(root / ".dagster"),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        "FEATURESTORE_ROOT": str(root),
        "FEATURESTORE_LAST_MONTH": "2025-12",
    }
    command = [str(Path(sys.executable).with_name("dagster-webserver")), "--host", "127.0.0.1", "--port", str(PORT)]
    server = subprocess.Popen([*command, "-m", "definitions"], cwd=HERE.parent, env=environment)  # noqa: S603 (our own command)
    try:
        wait_for_server()
        take_pictures()
    finally:
        server.terminate()
        server.wait(30)


def wait_for_server(*, timeout_s: float = 120) -> None:
    """Wait until the webserver answers, and tell it that its first-visit dialog has been seen."""
    query = urllib.request.Request(
        f"http://127.0.0.1:{PORT}/graphql",
        data=b'{"query": "mutation { setNuxSeen }"}',
        headers={"Content-Type": "application/json"},
    )
    deadline = time.monotonic() + timeout_s
    while True:
        try:
            urllib.request.urlopen(query).close()  # noqa: S310 (loopback)
            return
        except (urllib.error.URLError, ConnectionError):
            if time.monotonic() > deadline:
                raise
            time.sleep(1)


def take_pictures() -> None:
    """Open each page and keep what is seen."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1400, "height": 800})
        for name, place in PAGES.items():
            page.goto(f"http://127.0.0.1:{PORT}{place}")
            page.wait_for_timeout(WAIT_MS)
            page.screenshot(path=HERE / name)
        browser.close()


if __name__ == "__main__":
    main()
