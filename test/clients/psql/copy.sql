-- COPY both ways through the simple protocol, with errors before, within and behind the data.
create table measures (id int primary key, place text, value float8);
\copy measures from stdin
1	north	1.5
2	\N	-2
3	tab\there	1e10
\.
copy measures from stdin (format csv, header);
id,place,value
4,"a ""quoted"", place",4
5,"two
lines",5
\.
\copy measures to stdout
\copy (select id, place from measures where id > 3 order by id) to stdout (format csv, header, force_quote *)
copy (select i, repeat('x', i % 100) from generate_series(1, 20000) i) to stdout;
-- The second of three lines is wrong: the third must be thrown away, and the session goes on.
\copy measures from stdin
10	fine	1
eleven	wrong	1
12	fine	1
\.
\copy measures from stdin
1	twice	1
20	never	1
\.
\copy nowhere from stdin
1
\.
copy measures (id, nothing) from stdin;
\copy (select 10 / (5 - i) from generate_series(1, 10) i) to stdout
begin;
\copy measures from stdin
30	thirty	30
\.
\copy measures from stdin
thirty	thirty	30
\.
select 'not reached';
rollback;
\copy measures to '/dev/null' (format binary)
\copy measures from '/nowhere/at/all'
\copy measures from program 'printf "40\\tforty\\t40\\n"; exit 3'
\copy measures from program 'printf "41\\tforty-one\\t41\\n"'
-- COPY among other statements of one query.
select 'before'\; copy measures from stdin\; select 'behind';
50	fifty	50
\.
select count(*), sum(value), md5(string_agg(id || coalesce(place, '-'), ',' order by id)) from measures;
