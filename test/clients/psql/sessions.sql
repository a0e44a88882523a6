-- What only lasts where the session is whole.
prepare twice(int) as select $1 * 2 as doubled;
execute twice(21);
create temp table notes (text text);
insert into notes values ('kept');
table notes;
declare rows cursor with hold for select i from generate_series(1, 5) i;
fetch 2 from rows;
fetch all from rows;
set work_mem = '3MB';
show work_mem;
listen news;
select pg_advisory_lock(42);
select pg_advisory_unlock(42);
deallocate twice;
execute twice(21);
discard all;
show work_mem;
table notes;
