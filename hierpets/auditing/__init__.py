"""Problems in a set of labeled photos, found before a model learns them."""

from hierpets.auditing.findings import Audit, AuditFinding
from hierpets.auditing.run import audit
from hierpets.auditing.settings import AuditSettings

__all__ = ["Audit", "AuditFinding", "AuditSettings", "audit"]
