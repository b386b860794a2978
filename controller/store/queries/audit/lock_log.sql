-- Whoever has it gives leaves their places; somebody else's turn is not waited for.
select size, edge, note, first from audit_log for update skip locked
