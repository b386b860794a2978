-- Last in its transaction: the row is shared by all.
update installation set catalogue_revision = catalogue_revision + 1
