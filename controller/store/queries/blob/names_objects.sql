select fulcrum_names_objects($1) as "names!"
