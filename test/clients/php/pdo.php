<?php
// PDO with the server's own prepares: it names them itself, and drops them by SQL (DEALLOCATE) when their object goes.
$options = [PDO::ATTR_ERRMODE => PDO::ERRMODE_EXCEPTION, PDO::ATTR_EMULATE_PREPARES => false];
// libpq's variables name the rest.
$pdo = new PDO('pgsql:', getenv('PGUSER'), getenv('PGPASSWORD'), $options);

function show($value): void
{
    echo json_encode($value, JSON_UNESCAPED_UNICODE), "\n";
}

function fails(callable $action): void
{
    try {
        $action();
    } catch (PDOException $error) {
        show([$error->errorInfo[0], strtok($error->getMessage(), "\n")]);
    }
}

$pdo->exec('create table things (id serial primary key, name text unique, price numeric, is_new bool, data bytea)');
$insert = $pdo->prepare('insert into things (name, price, is_new) values (:name, :price, :new) returning id');
foreach (['one', 'größer', "it's"] as $index => $name) {
    $insert->bindValue(':name', $name);
    $insert->bindValue(':price', $index / 2);
    $insert->bindValue(':new', $index === 1, PDO::PARAM_BOOL);
    $insert->execute();
    show($insert->fetch(PDO::FETCH_ASSOC));
}
show($pdo->lastInsertId());
fails(fn () => $insert->execute([':name' => 'one', ':price' => 1, ':new' => 'no']));

// Many statement objects come and go; each is dropped on the server.
for ($round = 0; $round < 30; $round++) {
    $statement = $pdo->prepare('select name, ?::int + ?::int as sum from things where id = ?');
    $statement->execute([$round, 1, 1 + $round % 3]);
    $row = $statement->fetch(PDO::FETCH_ASSOC);
    assert($row['sum'] == $round + 1);
    unset($statement);
}
$first = $pdo->prepare('select count(*) from things where price >= ?');
$second = $pdo->prepare('select count(*) from things where price < ?');
unset($first);
$second->execute([1]);
show($second->fetchAll(PDO::FETCH_NUM));

$pdo->beginTransaction();
$pdo->exec("insert into things (name) values ('never')");
fails(fn () => $pdo->query('select 1 / 0'));
fails(fn () => $pdo->query('select 1'));
$pdo->rollBack();
$pdo->beginTransaction();
$statement = $pdo->prepare('update things set data = ? where id = 1');
$statement->bindValue(1, "\0\xff", PDO::PARAM_LOB);
$statement->execute();
$pdo->commit();
$row = $pdo->query('select data, price from things where id = 1')->fetch();
show([bin2hex(stream_get_contents($row['data'])), $row['price']]);

// A statement that was prepared before its table changed.
$select = $pdo->prepare('select * from things where id = ?');
$select->execute([1]);
show(array_keys($select->fetch(PDO::FETCH_ASSOC)));
unset($select);
$kept = $pdo->prepare('select * from things where id = ?');
$kept->execute([1]);
$pdo->exec('alter table things drop column data');
fails(fn () => $kept->execute([1]));
$select = $pdo->prepare('select * from things where id = ?');
$select->execute([2]);
show($select->fetch(PDO::FETCH_ASSOC));

show($pdo->pgsqlCopyFromArray('things', ["10\tten\t1\tt\n", "11\televen\t1\tf\n"]));
show($pdo->pgsqlCopyToArray('things'));
fails(fn () => $pdo->pgsqlCopyFromArray('things', ["x\n"]));
$pdo->beginTransaction();
$oid = $pdo->pgsqlLOBCreate();
$stream = $pdo->pgsqlLOBOpen($oid, 'w');
fwrite($stream, str_repeat('large ', 10000));
fclose($stream);
$stream = $pdo->pgsqlLOBOpen($oid, 'r');
show(strlen(stream_get_contents($stream)));
fclose($stream);
$pdo->pgsqlLOBUnlink($oid);
$pdo->commit();

// Emulated prepares are simple queries with several results.
$pdo->setAttribute(PDO::ATTR_EMULATE_PREPARES, true);
$statement = $pdo->prepare("select ?::int as a, 'x' as b");
$statement->execute([5]);
show($statement->fetchAll(PDO::FETCH_ASSOC));
$cursor = $pdo->prepare('select i from generate_series(1, 10) i', [PDO::ATTR_CURSOR => PDO::CURSOR_SCROLL]);
show($pdo->query('select 1 where false')->fetch());
show($pdo->query("select 'alive'")->fetchColumn());
