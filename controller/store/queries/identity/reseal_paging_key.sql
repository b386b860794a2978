-- Unless another controller was first.
update installation set paging_key = $2 where paging_key = $1
