"""What a training run gave, as one page to look at."""

from tfrec_models.report.write_report import write_report

__all__ = ["write_report"]
