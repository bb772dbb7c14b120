"""The audit's page: one HTML file without external resources; and its distributions as one picture."""

from __future__ import annotations

from featurestore.drift.reporting.page.page import AuditPage, render_page
from featurestore.drift.reporting.page.sheet import render_sheet

__all__ = ["AuditPage", "render_page", "render_sheet"]
