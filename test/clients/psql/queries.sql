-- Rows, meta-commands and variables: simple queries, and Describe of the unnamed statement (\gdesc).
select 1 as one, null as nothing, 'größer' as text, array[1, 2] as list, '{"a": 1}'::jsonb as json, row(1, 'x') as record;
select 1 as a\; select 2 as b\; select 3 as c;
;
create table things (id serial primary key, name text not null unique, price numeric(10, 2) default 0, tags text[]);
insert into things (name, price, tags) select 'thing ' || i, i / 3.0, array['t' || i] from generate_series(1, 5) i returning id, price;
\d things
select count(*) as number_of_things from things \gset
\echo there are :number_of_things
select id, name as "a name", price::float8 from things where false \gdesc
select 'select ' || i || ' as generated' from generate_series(1, 3) i \gexec
select id % 2 as odd, id % 3 as rest, count(*) from things group by 1, 2 order by 1, 2 \crosstabview
\x on
select * from things order by id limit 2;
\x off
\if :number_of_things
\echo as it should be
\endif
\set FETCH_COUNT 2
select * from things order by id;
\unset FETCH_COUNT
\dt
\dn
\encoding LATIN1
select 'größer' = U&'gr\00f6\00dfer' as is_converted;
\encoding UTF8
select length(string_agg(repeat('x', 1000), '')) from generate_series(1, 1000);
do $$ begin raise notice 'a notice'; raise warning 'a warning'; end $$;
table things;
