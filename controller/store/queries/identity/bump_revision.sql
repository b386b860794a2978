-- The row's lock orders all changes of standing: no reader of the revision misses one.
update installation set identity_revision = identity_revision + 1
