-- Errors of every kind, and that the session lives on behind them.
\set VERBOSITY verbose
select 1 / 0;
select nonsense;
selec;
select 1\; select 1 / 0\; select 2;
\echo :SQLSTATE :ERROR :LAST_ERROR_MESSAGE
create table once (id int primary key);
insert into once values (1);
insert into once values (1);
begin;
insert into once values (2);
insert into once values (2);
select 'not reached';
commit;
table once;
begin;
insert into once values (3);
savepoint here;
insert into once values (3);
rollback to here;
insert into once values (4);
commit;
table once;
\set ON_ERROR_ROLLBACK on
begin;
insert into once values (5);
insert into once values (5);
insert into once values (6);
commit;
\set ON_ERROR_ROLLBACK off
\set AUTOCOMMIT off
insert into once values (7);
rollback;
insert into once values (8);
commit;
\set AUTOCOMMIT on
table once;
do $$ begin raise exception 'raised' using errcode = 'P0042', detail = 'a detail', hint = 'a hint', table = 'once'; end $$;
set constraints all deferred;
commit;
begin;
begin;
rollback;
select 1 from once for update of nothing;
select 'still here' as status;
