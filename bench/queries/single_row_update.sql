\set id random(1, 10000)
update public.single_row set value = value + 1 where id = :id;
