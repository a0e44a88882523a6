// The JDBC driver: statements that it prepares on the server after a few runs, batches, cursors, COPY, cancel and savepoints.
import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.copy.CopyManager;

public class Jdbc {
    interface Action {
        void run() throws Exception;
    }

    static Connection connect(String options) throws SQLException {
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE");
        return DriverManager.getConnection(url + options, System.getenv("PGUSER"), System.getenv("PGPASSWORD"));
    }

    static void show(Object... values) {
        System.out.println(Arrays.deepToString(values));
    }

    static void fails(Action action) throws Exception {
        try {
            action.run();
        } catch (SQLException error) {
            SQLException last = error.getNextException() == null ? error : error.getNextException();
            show(last.getSQLState(), last.getMessage().lines().findFirst().get());
            return;
        }
        throw new AssertionError("it should have failed");
    }

    static List<String> rows(ResultSet result) throws SQLException {
        List<String> rows = new ArrayList<>();
        while (result.next()) {
            List<String> row = new ArrayList<>();
            for (int column = 1; column <= result.getMetaData().getColumnCount(); column++) row.add(result.getString(column));
            rows.add(row.toString());
        }
        return rows;
    }

    public static void main(String[] arguments) throws Exception {
        try (Connection connection = connect("?prepareThreshold=3&ApplicationName=jdbc")) {
            statements(connection);
            transactions(connection);
            copyAndCancel(connection);
        }
        changedTables();
        threads(Integer.parseInt(arguments[0]));
    }

    static void statements(Connection connection) throws Exception {
        try (Statement statement = connection.createStatement()) {
            statement.execute("create table things (id serial primary key, name text unique, price numeric, tags text[], data bytea)");
            show(rows(statement.executeQuery("show application_name")));
        }
        try (PreparedStatement insert = connection.prepareStatement(
                "insert into things (name, price, tags, data) values (?, ?, ?, ?)", Statement.RETURN_GENERATED_KEYS)) {
            for (int i = 0; i < 8; i++) {
                insert.setString(1, "größer " + i);
                insert.setBigDecimal(2, new java.math.BigDecimal(i + ".50"));
                insert.setArray(3, connection.createArrayOf("text", new String[] {"a", null, "{"}));
                insert.setBytes(4, new byte[] {0, -1});
                insert.executeUpdate();
                ResultSet keys = insert.getGeneratedKeys();
                keys.next();
                if (keys.getInt("id") != i + 1) throw new AssertionError(keys.getInt("id"));
            }
            for (int i = 100; i < 600; i++) {
                insert.setString(1, "batched " + i);
                insert.setObject(2, null, java.sql.Types.NUMERIC);
                insert.setArray(3, null);
                insert.setBytes(4, null);
                insert.addBatch();
            }
            show(Arrays.stream(insert.executeBatch()).sum());
            insert.setString(1, "batched 100");
            insert.addBatch();
            fails(insert::executeBatch);
        }
        try (PreparedStatement select = connection.prepareStatement("select name, price, tags, encode(data, 'hex') from things where id = ?")) {
            for (int i = 1; i <= 8; i++) {
                select.setInt(1, i);
                ResultSet result = select.executeQuery();
                result.next();
                if (!result.getString(1).equals("größer " + (i - 1)) || !result.getString(4).equals("00ff")) throw new AssertionError(i);
            }
            select.setInt(1, 2);
            show(rows(select.executeQuery()));
            show(select.getMetaData().getColumnCount(), select.getParameterMetaData().getParameterTypeName(1));
        }
        // Many different texts, so that the driver closes the statements that it does not find worth keeping.
        for (int i = 0; i < 300; i++) {
            try (PreparedStatement select = connection.prepareStatement("select ? + " + i)) {
                select.setInt(1, 1);
                ResultSet result = select.executeQuery();
                result.next();
                if (result.getInt(1) != i + 1) throw new AssertionError(i);
            }
        }
        show(connection.getMetaData().getTables(null, "public", "things", null).next());
        show(rows(connection.getMetaData().getPrimaryKeys(null, "public", "things")).size());
    }

    static void transactions(Connection connection) throws Exception {
        connection.setAutoCommit(false);
        try (Statement statement = connection.createStatement()) {
            statement.setFetchSize(70);
            int rows = 0;
            for (ResultSet result = statement.executeQuery("select i from generate_series(1, 1000) i"); result.next();) rows += result.getInt(1);
            show(rows);
            Savepoint savepoint = connection.setSavepoint("here");
            fails(() -> statement.execute("insert into things (name) values ('batched 100')"));
            fails(() -> statement.execute("select 1"));
            connection.rollback(savepoint);
            statement.executeUpdate("update things set price = 0 where id = 1");
            connection.commit();
            statement.executeUpdate("delete from things");
            connection.rollback();
            show(rows(statement.executeQuery("select count(*), min(price) from things")));
            connection.commit();
            connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            show(rows(statement.executeQuery("show transaction_isolation")));
            connection.rollback();
            connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
        }
        connection.setAutoCommit(true);
    }

    static void copyAndCancel(Connection connection) throws Exception {
        CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
        StringBuilder lines = new StringBuilder();
        for (int i = 1000; i < 6000; i++) lines.append(i).append("\tcopied ").append(i).append('\n');
        show(copy.copyIn("copy things (id, name) from stdin", new StringReader(lines.toString())));
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        show(copy.copyOut("copy (select id, name from things where id between 1000 and 1002 order by id) to stdout", out), out.toString());
        fails(() -> copy.copyIn("copy things (id, name) from stdin", new StringReader("none\tx\n")));
        fails(() -> copy.copyOut("copy (select 1 / (500 - i) from generate_series(1, 1000) i) to stdout", new ByteArrayOutputStream()));
        try (Statement statement = connection.createStatement()) {
            statement.setQueryTimeout(1);
            fails(() -> statement.execute("select pg_sleep(600)"));
            statement.setQueryTimeout(0);
            show(rows(statement.executeQuery("select 'alive'")));
            // Several results of one simple query.
            boolean isResult = statement.execute("select 1; insert into things (name) values ('last'); select 2");
            show(isResult, rows(statement.getResultSet()), statement.getMoreResults(), statement.getUpdateCount());
            show(statement.getMoreResults(), rows(statement.getResultSet()));
        }
        connection.setReadOnly(true);
        connection.setAutoCommit(false);
        fails(() -> connection.createStatement().execute("delete from things"));
        connection.rollback();
        connection.setAutoCommit(true);
        connection.setReadOnly(false);
        show(connection.isValid(5), connection.getSchema());
    }

    // With autosave=always the driver prepares anew whatever has become stale.
    static void changedTables() throws Exception {
        try (Connection connection = connect("?prepareThreshold=1&autosave=always"); Connection owner = connect("")) {
            connection.setAutoCommit(false);
            try (PreparedStatement select = connection.prepareStatement("select * from things where id = ?")) {
                for (String change : new String[] {"drop column data", "drop column tags", "add column note text default 'n'"}) {
                    select.setInt(1, 1);
                    show(rows(select.executeQuery()));
                    connection.commit();
                    owner.createStatement().execute("alter table things " + change);
                    show(rows(select.executeQuery()));
                    connection.commit();
                }
            }
        }
    }

    static void threads(int count) throws Exception {
        ExecutorService executor = Executors.newFixedThreadPool(count);
        List<Future<Integer>> futures = new ArrayList<>();
        for (int number = 0; number < count; number++) {
            int mine = number;
            futures.add(executor.submit(() -> {
                try (Connection connection = connect("?prepareThreshold=2")) {
                    try (PreparedStatement select = connection.prepareStatement("select ?, ?")) {
                        for (int turn = 0; turn < 20; turn++) {
                            select.setInt(1, mine);
                            select.setInt(2, turn);
                            ResultSet result = select.executeQuery();
                            result.next();
                            if (result.getInt(1) != mine || result.getInt(2) != turn) throw new AssertionError(mine);
                        }
                    }
                }
                return mine;
            }));
        }
        int sum = 0;
        for (Future<Integer> future : futures) sum += future.get(50, TimeUnit.SECONDS);
        executor.shutdown();
        show(sum);
    }
}
