"""Imports every module that defines tables, so that the shared MetaData is whole for migrations and their check."""

import compliance.ledger_tables
import compliance.register_tables
import compliance.sale_tables
import compliance.tables
import infra.tables
import qa_sampling.tables
import recordings.tables
import services.tables

REGISTERED = (
    infra.tables,
    compliance.ledger_tables,
    compliance.tables,
    compliance.register_tables,
    compliance.sale_tables,
    recordings.tables,
    qa_sampling.tables,
    services.tables,
)
