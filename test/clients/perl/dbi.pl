# DBD::Pg: statements are prepared on the server, and dropped by SQL (DEALLOCATE).
use strict;
use warnings;
use utf8;
use DBI;
use DBD::Pg qw(:async :pg_types);

$| = 1;
binmode STDOUT, ':utf8';
my %options = (RaiseError => 1, PrintError => 0, AutoCommit => 1, pg_server_prepare => 1);
my $db = DBI->connect('dbi:Pg:', $ENV{PGUSER}, $ENV{PGPASSWORD}, \%options);

sub show { print join(' | ', map { defined $_ ? ref $_ eq 'ARRAY' ? '[' . join(',', map { $_ // 'null' } @$_) . ']' : $_ : 'null' } @_), "\n" }

sub fails {
    my ($action) = @_;
    eval { $action->(); 1 } and die 'it should have failed';
    show($db->state, (split /\n/, $db->errstr)[0]);
}

$db->do('create table things (id serial primary key, name text unique, numbers int[], data bytea)');
my $insert = $db->prepare('insert into things (name, numbers, data) values (?, ?, ?) returning id');
$insert->bind_param(3, undef, { pg_type => PG_BYTEA });
for my $name ('one', 'größer', "it's") {
    $insert->execute($name, [1, undef, 3], "\0\x{ff}");
    show($insert->fetchrow_array);
}
fails(sub { $insert->execute('one', undef, undef) });
$insert->finish;
undef $insert;

for my $round (1 .. 20) {
    my $select = $db->prepare('select name, numbers, ?::int from things where id = ?');
    $select->execute($round, 1 + $round % 3);
    my @row = $select->fetchrow_array;
    die unless $row[2] == $round;
}
show($db->selectrow_array(q{select name, numbers, encode(data, 'hex') from things where id = ?}, undef, 1));
show(@{ $db->selectcol_arrayref('select name from things order by id') });

$db->begin_work;
$db->do('insert into things (name) values (?)', undef, 'never');
$db->pg_savepoint('here');
fails(sub { $db->do('insert into things (name) values (?)', undef, 'one') });
$db->pg_rollback_to('here');
$db->do('insert into things (name) values (?)', undef, 'four');
fails(sub { $db->do('select 1 / 0') });
fails(sub { $db->selectrow_array('select 1') });
$db->rollback;
show($db->selectrow_array('select count(*) from things'));

$db->do('create table points (id int, name text)');
$db->do('copy points from stdin');
$db->pg_putcopydata("$_\tpoint $_\n") for 1 .. 5000;
$db->pg_putcopyend;
$db->do('copy (select * from points where id <= 3 order by id) to stdout');
my ($line, @lines);
push @lines, $line while $db->pg_getcopydata($line) >= 0;
show(map { s/\s+$//r } @lines);
$db->do('copy points from stdin');
$db->pg_putcopydata("none\tx\n");
fails(sub { $db->pg_putcopyend });
show($db->selectrow_array('select count(*), sum(id) from points'));

my $slow = $db->prepare('select pg_sleep(600)', { pg_async => PG_ASYNC });
$slow->execute;
# A cancel that comes before the query has begun is lost.
my $watcher = DBI->connect('dbi:Pg:', $ENV{PGUSER}, $ENV{PGPASSWORD}, \%options);
my $running = q{select count(*) from pg_stat_activity where datname = current_database() and state = 'active' and query = 'select pg_sleep(600)'};
my $deadline = time + 20;
while (!$watcher->selectrow_array($running)) { die 'it does not run' if time > $deadline }
$watcher->disconnect;
show($db->pg_ready ? 'ready' : 'not ready', $db->pg_cancel);
my $later = $db->prepare('select ?::int * 2', { pg_async => PG_ASYNC });
$later->execute(21);
$later->pg_result;
show($later->fetchrow_array);
$_->finish for $slow, $later;

# Many tables of information, by big queries of DBD::Pg's own.
show(map { $_->{COLUMN_NAME} . ':' . $_->{TYPE_NAME} } @{ $db->column_info(undef, 'public', 'things', '%')->fetchall_arrayref({}) });
show($db->primary_key(undef, 'public', 'things'));

$db->do('alter table things add column price numeric default 1.5');
show($db->selectrow_array('select name, price from things where id = ?', undef, 2));

# A statement whose table changes after the driver has prepared it, which it does when the statement is run for the second time.
my $kept = $db->prepare('select * from points where id = ?');
show($db->selectrow_array($kept, undef, $_)) for 1 .. 3;
$db->do('alter table points add column extra int');
fails(sub { $db->selectrow_array($kept, undef, 4) });
undef $kept;

show($db->ping > 0 ? 'alive' : 'dead');
$db->disconnect;
