"""Lays every page of a built site out in a browser and finds what does not fit.

    mkdocs build --strict && python scripts/check_layout.py site

Needs Chromium or Chrome; `.ci/run` does not have one, so this is part of the release checklist. At
the width of a phone and of a laptop, a page must not scroll sideways, text and pictures must not
leave the window (wide tables and code scroll in boxes of their own), and each picture must load.
"""

import argparse
import contextlib
import functools
import http.server
import json
import pathlib
import queue
import shutil
import subprocess
import sys
import tempfile
import threading

WIDTHS = (390, 1366)
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "chrome")
# Loads one page after the other into a frame, and posts what it finds in each.
DRIVER = """<!doctype html><body><script>
const pages = PAGES, widths = WIDTHS;
function faults(frame) {
  const page = frame.contentDocument, root = page.documentElement, found = [];
  if (root.scrollWidth > root.clientWidth) found.push("scrolls sideways: " + root.scrollWidth);
  for (const image of page.images)
    if (!image.complete || !image.naturalWidth) found.push("picture did not load: " + image.src);
  for (const element of page.querySelectorAll(".md-content *")) {
    const box = element.getBoundingClientRect();
    if (!box.width || box.right <= root.clientWidth + 1) continue;
    let outer = element.parentElement;
    while (outer && !["auto", "scroll"].includes(
        frame.contentWindow.getComputedStyle(outer).overflowX)) outer = outer.parentElement;
    if (!outer || outer.contains(page.querySelector(".md-content")))
      found.push(`<${element.tagName.toLowerCase()}> ends at ${Math.round(box.right)}: ` +
                 element.textContent.trim().slice(0, 60));
  }
  return found;
}
(async () => {
  const results = [];
  for (const width of widths) for (const page of pages) {
    const frame = document.createElement("iframe");
    frame.width = width; frame.height = 900; frame.src = "/" + page;
    const loaded = new Promise(done => frame.onload = done);
    document.body.append(frame);
    await loaded;
    await new Promise(done => setTimeout(done, 50));
    results.push([page, width, faults(frame)]);
    frame.remove();
  }
  fetch("/_results", {method: "POST", body: JSON.stringify(results)});
})();
</script></body>"""


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serves the site, the page that drives the browser, and takes its results."""

    def __init__(self, *arguments, driver, results, **options):
        self.driver, self.results = driver, results
        super().__init__(*arguments, **options)

    def do_GET(self):
        if self.path != "/_driver":
            return super().do_GET()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.driver.encode())

    def do_POST(self):
        self.results.put(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *arguments):
        """Nothing: a line for each file would hide the results."""


def laid_out(site, pages, browser, seconds):
    """Returns [page, width, faults] for each page and width."""
    driver = DRIVER.replace("PAGES", json.dumps(pages)).replace("WIDTHS", json.dumps(WIDTHS))
    results = queue.Queue()
    handler = functools.partial(Handler, driver=driver, results=results, directory=str(site))
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        stack.callback(server.shutdown)
        profile = stack.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        command = [browser, "--headless=new", "--no-sandbox", "--disable-gpu"]
        command += [f"--user-data-dir={profile}", "--window-size=1500,1000"]
        command += ["--remote-debugging-port=0", f"http://127.0.0.1:{server.server_port}/_driver"]
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        stack.callback(process.wait)
        stack.callback(process.terminate)
        return results.get(timeout=seconds)


def main():
    """Prints the faults; exits with 1 if there are any."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("site", type=pathlib.Path)
    parser.add_argument("--browser", help=f"the browser's command; without it one of {BROWSERS}")
    parser.add_argument("--seconds", type=float, default=300, help="to wait for it")
    options = parser.parse_args()
    browser = options.browser or next(filter(shutil.which, BROWSERS), None)
    if browser is None:
        parser.error(f"A browser is needed, none of {BROWSERS} was found; name it by --browser.")
    pages = sorted(p.relative_to(options.site).as_posix() for p in options.site.rglob("*.html"))
    pages.remove("404.html")
    results = laid_out(options.site, pages, browser, options.seconds)
    for page, width, found in results:
        for fault in found:
            print(f"{page} at {width} px: {fault}")
    wrong = sum(bool(found) for *_, found in results)
    print(f"{len(pages)} pages at {WIDTHS} px, {wrong} with faults.")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
