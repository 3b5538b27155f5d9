"""What is wrong with a set of labelled photos, before a model learns it."""

from hierpets.audit.findings import Audit
from hierpets.audit.run import run_audit
from hierpets.audit.settings import AuditSettings

__all__ = ["Audit", "AuditSettings", "run_audit"]
