"""What is wrong with a set of labeled photos, before a model learns it."""

from hierpets.auditing.findings import Audit
from hierpets.auditing.run import run_audit
from hierpets.auditing.settings import AuditSettings

__all__ = ["Audit", "AuditSettings", "run_audit"]
