"""A parser of the pages that are written."""

import collections
import html.parser

# Elements that have no end.
_VOID = ("meta", "wbr")


class HtmlPage(html.parser.HTMLParser):
    """Checks that what is opened is closed; gathers tags and text."""

    def __init__(self, page):
        super().__init__()
        self.open, self.tags, self.text = [], collections.Counter(), ""
        self.ids = collections.Counter()
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags[tag] += 1
        self.ids.update(value for name, value in attrs if name == "id")
        if tag not in _VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags[tag] += 1
        self.ids.update(value for name, value in attrs if name == "id")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
