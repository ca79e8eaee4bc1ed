"""Links from the HTML representation of estimators to their documentation."""

from functools import cache
from importlib.metadata import PackageNotFoundError, metadata


@cache
def documentation_url() -> str:
    """Return the address of the documentation, as the package's metadata have it.

    It is the URL named Documentation; without one it is empty, and there is no link.
    """
    try:
        urls = metadata(__package__).get_all("Project-URL") or []
    except PackageNotFoundError:  # run from a folder
        return ""
    named = dict(url.split(", ", 1) for url in urls)
    return str(named.get("Documentation", "")).rstrip("/")


class DocLinkMixin:
    """Has scikit-learn link an estimator to its page of the API reference."""

    @property
    def _doc_link_module(self) -> str:
        return __package__ if documentation_url() else ""

    @property
    def _doc_link_template(self) -> str:
        page = "{estimator_module}.{estimator_name}.html"
        return f"{documentation_url()}/api/{page}"
