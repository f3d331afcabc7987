"""Imports every module that defines tables, so that the shared MetaData is whole for migrations and their check."""

import compliance.ledger_tables
import compliance.register_tables
import compliance.tables
import infra.tables
import services.tables

REGISTERED = (infra.tables, compliance.ledger_tables, compliance.tables, compliance.register_tables, services.tables)
