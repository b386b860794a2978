select exists (select from blobs where object is not null) as "any!"
