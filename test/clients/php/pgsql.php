<?php
// The extension pgsql: libpq's functions one by one, synchronous and not.
$connection = pg_connect('');

function show($value): void
{
    echo json_encode($value, JSON_UNESCAPED_UNICODE), "\n";
}

show(pg_fetch_all(pg_query_params($connection, 'select $1::int + 1 as sum, $2::text as word', [41, 'größer'])));
pg_prepare($connection, 'mine', 'select $1::int * 2 as doubled');
foreach ([1, 2, 3] as $number) {
    show(pg_fetch_assoc(pg_execute($connection, 'mine', [$number])));
}
show(@pg_prepare($connection, 'mine', 'select 1'));
show(pg_last_error($connection));
show(@pg_execute($connection, 'nobody', []));
show(pg_last_error($connection));
pg_query($connection, 'deallocate mine');
pg_prepare($connection, 'mine', 'select $1::text as word');
show(pg_fetch_assoc(pg_execute($connection, 'mine', ['again'])));

// Not waiting for results, several at once.
pg_send_query($connection, 'select 1 as one; select 2 as two; select 1 / 0; select 3 as three');
while ($result = pg_get_result($connection)) {
    show([pg_result_status($result), pg_fetch_all($result), pg_result_error_field($result, PGSQL_DIAG_SQLSTATE)]);
}
pg_send_query($connection, 'select pg_sleep(600)');
// A cancel that comes before the query has begun is lost.
$watcher = pg_connect('', PGSQL_CONNECT_FORCE_NEW);
$running = "select 1 from pg_stat_activity where datname = current_database() and state = 'active' and query = 'select pg_sleep(600)'";
for ($deadline = time() + 20; time() < $deadline && !pg_num_rows(pg_query($watcher, $running));) {
}
pg_close($watcher);
show([pg_connection_busy($connection), pg_cancel_query($connection)]);
show(pg_fetch_assoc(pg_query($connection, "select 'alive' as status")));

pg_query($connection, 'create table points (id int, name text)');
show(pg_copy_from($connection, 'points', ["1\tone\n", "2\t\\N\n"]));
show(pg_copy_to($connection, 'points'));
pg_query($connection, 'copy points from stdin');
for ($i = 0; $i < 20000; $i++) {
    pg_put_line($connection, "$i\tline $i\n");
}
pg_put_line($connection, "\\.\n");
show(pg_end_copy($connection));
show(pg_fetch_row(pg_query($connection, 'select count(*), sum(id) from points')));
show(pg_insert($connection, 'points', ['id' => -1, 'name' => 'inserted']) !== false);
show(pg_select($connection, 'points', ['id' => -1]));
show([pg_parameter_status($connection, 'TimeZone'), pg_transaction_status($connection), pg_client_encoding($connection)]);
pg_query($connection, 'begin');
show(pg_transaction_status($connection) === PGSQL_TRANSACTION_INTRANS);
pg_query($connection, 'rollback');
// A persistent connection is reset when it is taken again.
$persistent = pg_pconnect("options='-c search_path=one'");
show(pg_fetch_row(pg_query($persistent, 'show search_path')));
show(pg_ping($persistent));
