select size from audit_log for update
