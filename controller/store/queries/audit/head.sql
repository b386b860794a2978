select size, edge, note, first from audit_log
